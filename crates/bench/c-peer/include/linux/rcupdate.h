/* The kernel's RCU names over liburcu (the flavour that uses membarrier). */
#ifndef BENCH_RCUPDATE_H
#define BENCH_RCUPDATE_H

#include <urcu.h>

#define rcu_dereference_raw(pointer) rcu_dereference(pointer)
#define rcu_dereference_check(pointer, condition) rcu_dereference(pointer)
#define rcu_dereference_protected(pointer, condition) rcu_dereference(pointer)
#define RCU_INIT_POINTER(pointer, value) ((pointer) = (value))

#endif
