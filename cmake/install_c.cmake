# `cmake --install` of the C library: the archive, its header and skrun, and what find_package(shufflekit) and pkg-config read.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# A program in C links the C++ library by name; one in C++ does so by itself.
set(runtime ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
list(FILTER runtime INCLUDE REGEX "^(stdc\\+\\+|c\\+\\+|c\\+\\+abi|m)$")
list(REMOVE_DUPLICATES runtime)
list(TRANSFORM runtime PREPEND "-l" OUTPUT_VARIABLE runtime_flags)
list(JOIN runtime_flags " " runtime_flags)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/shufflekit)
install(TARGETS shufflekit EXPORT shufflekit ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS skrun)
install(FILES native/shufflekit.h TYPE INCLUDE)
install(EXPORT shufflekit NAMESPACE shufflekit:: FILE targets.cmake DESTINATION ${package})

configure_package_config_file(cmake/config.cmake.in shufflekitConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(shufflekitConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/shufflekitConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/shufflekitConfigVersion.cmake
        DESTINATION ${package})

file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)  # the prefix from there, so that the folder can be moved
configure_file(cmake/shufflekit.pc.in shufflekit.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/shufflekit.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
