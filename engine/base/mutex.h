// mutex.h - the one lock the engine needs, on POSIX and Windows.
#ifndef CDL_MUTEX_H_
#define CDL_MUTEX_H_

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOUSER // leaves names such as INPUT and ERROR undefined
#define NOGDI
#define NOMINMAX
#include <windows.h>
#undef CreateSemaphore // a macro, where Vulkan has a function of that name
typedef SRWLOCK cdl_mutex;
static inline void cdl_mutex_init(cdl_mutex *m) { InitializeSRWLock(m); }
static inline void cdl_mutex_destroy(cdl_mutex *m) { (void)m; }
static inline void cdl_mutex_lock(cdl_mutex *m) { AcquireSRWLockExclusive(m); }
static inline void cdl_mutex_unlock(cdl_mutex *m) { ReleaseSRWLockExclusive(m); }
#else
#include <pthread.h>
typedef pthread_mutex_t cdl_mutex;
static inline void cdl_mutex_init(cdl_mutex *m) { pthread_mutex_init(m, 0); }
static inline void cdl_mutex_destroy(cdl_mutex *m) { pthread_mutex_destroy(m); }
static inline void cdl_mutex_lock(cdl_mutex *m) { pthread_mutex_lock(m); }
static inline void cdl_mutex_unlock(cdl_mutex *m) { pthread_mutex_unlock(m); }
#endif

#endif // CDL_MUTEX_H_
