/* A spinlock like the kernel's when nobody contends: one locked exchange, one plain store. */
#ifndef BENCH_SPINLOCK_H
#define BENCH_SPINLOCK_H

typedef struct {
	unsigned char held;
} spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name) ((spinlock_t){ 0 })
#define DEFINE_SPINLOCK(name) spinlock_t name = { 0 }
#define spin_lock_init(lock) ((lock)->held = 0)

static inline void bench_lock(spinlock_t *lock)
{
	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static inline void bench_unlock(spinlock_t *lock)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

#define spin_lock(lock) bench_lock(lock)
#define spin_unlock(lock) bench_unlock(lock)
#define spin_lock_nested(lock, class) bench_lock(lock)
#define spin_lock_bh(lock) bench_lock(lock)
#define spin_unlock_bh(lock) bench_unlock(lock)
#define spin_lock_irq(lock) bench_lock(lock)
#define spin_unlock_irq(lock) bench_unlock(lock)
#define spin_lock_irqsave(lock, flags) ((void)(flags), bench_lock(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), bench_unlock(lock))

#endif
