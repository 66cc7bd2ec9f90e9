/* What CPython's headers ask of the machine, for every target that wheels are built for, in place of the pyconfig.h of the Python
 * that the headers were taken from. Sizes are the compiler's; the rest holds for Linux, macOS and Windows on 64 bits. */
#ifndef Py_PYCONFIG_H
#define Py_PYCONFIG_H

#include <stdio.h> /* nanobind's sources print to stderr, and LLVM's library brings none by itself */

#define SIZEOF_INT __SIZEOF_INT__
#define SIZEOF_LONG __SIZEOF_LONG__
#define SIZEOF_LONG_LONG __SIZEOF_LONG_LONG__
#define SIZEOF_SIZE_T __SIZEOF_SIZE_T__
#define SIZEOF_TIME_T 8
#define SIZEOF_UINTPTR_T __SIZEOF_POINTER__
#define SIZEOF_VOID_P __SIZEOF_POINTER__
#define SIZEOF_WCHAR_T __SIZEOF_WCHAR_T__
#define SIZEOF__BOOL 1
#define SIZEOF_PID_T 4
#define ALIGNOF_LONG __SIZEOF_LONG__
#define ALIGNOF_SIZE_T __SIZEOF_SIZE_T__
#define ALIGNOF_MAX_ALIGN_T __BIGGEST_ALIGNMENT__

#define HAVE_LONG_LONG 1
#define HAVE_SSIZE_T 1
#define HAVE_STDDEF_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_WCHAR_H 1
#define STDC_HEADERS 1
#define PY_FORMAT_SIZE_T "z"
#define PYLONG_BITS_IN_DIGIT 30
#define WITH_DOC_STRINGS 1
#define WITH_PYMALLOC 1
#define WITH_THREAD 1
#define Py_ENABLE_SHARED 1

#ifdef _WIN32
#define MS_WINDOWS
#define MS_WIN32
#define MS_WIN64
#define HAVE_DECLSPEC_DLL 1
#define NT_THREADS
#else
#define HAVE_PTHREAD_H 1
#define HAVE_SYS_TIME_H 1
#define HAVE_CLOCK_GETTIME 1
#define SIZEOF_PTHREAD_T __SIZEOF_POINTER__
#endif

#endif
