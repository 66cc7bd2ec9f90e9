# Stands for find_package(Python) where a module is built for a Python that does not run here: scripts/wheels.sh names its headers and
# version, and on Windows the import library of its DLL.
set(Python_VERSION ${SHUFFLEKIT_CROSS_PYTHON_VERSION})
set(Python_INTERPRETER_ID Python)
set(Python_INCLUDE_DIRS ${SHUFFLEKIT_CROSS_PYTHON_HEADERS})
set(NB_SUFFIX ${SHUFFLEKIT_CROSS_PYTHON_SUFFIX})
set(NB_SUFFIX_S ${SHUFFLEKIT_CROSS_PYTHON_SUFFIX})
set(Python_SOABI "")
add_executable(Python::Interpreter IMPORTED)
foreach(component Module SABIModule)
  add_library(Python::${component} INTERFACE IMPORTED)
  set_target_properties(Python::${component} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${Python_INCLUDE_DIRS}"
                        INTERFACE_LINK_LIBRARIES "${SHUFFLEKIT_CROSS_PYTHON_LIBRARY}")
endforeach()
# zig makes no bundles for macOS, which loads modules that are libraries too.
set(CMAKE_SHARED_MODULE_CREATE_CXX_FLAGS -shared)
