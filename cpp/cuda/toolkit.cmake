# The CUDA toolkit, for a build with FASTMLP_CUDA=ON.
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR
    "FASTMLP_CUDA=ON needs nvcc, the compiler of NVIDIA's CUDA toolkit (12.0 or later), and found "
    "none. Install the toolkit from https://developer.nvidia.com/cuda-downloads, and set PATH so "
    "that nvcc is on it, or the environment variable CUDACXX to where it is, such as "
    "/usr/local/cuda/bin/nvcc. Without FASTMLP_CUDA=ON fastmlp is built for CPUs, and needs none.")
endif()
# whoever has other GPUs sets it, or the environment variable CUDAARCHS
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  set(own_architectures ON)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR
    "FASTMLP_CUDA=ON needs nvcc 12.0 or later. ${CMAKE_CUDA_COMPILER} is of version "
    "${CMAKE_CUDA_COMPILER_VERSION}: set the environment variable CUDACXX to a later one.")
endif()
if(own_architectures AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
  list(APPEND CMAKE_CUDA_ARCHITECTURES 100-real)
endif()
find_package(CUDAToolkit REQUIRED)
