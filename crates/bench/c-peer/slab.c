/* The slow half of linux/slab.h: magazines between threads and the depot, memory for new nodes. */
#include <stdlib.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/slab.h>

#define NODE_BYTES 256
#define CHUNK_BYTES (2UL << 20)

__thread struct node_cache node_cache;
static __thread bool is_registered;
static DEFINE_SPINLOCK(depot_lock);
static struct magazine *full, *empty;
static struct node_cache *caches;
static char *fresh, *fresh_end;

static void put(struct magazine **stack, struct magazine *magazine)
{
	magazine->next = *stack;
	*stack = magazine;
}

static struct magazine *take(struct magazine **stack)
{
	struct magazine *magazine = *stack;

	if (magazine)
		*stack = magazine->next;
	return magazine;
}

static struct magazine *take_empty(void)
{
	struct magazine *magazine = take(&empty);

	if (!magazine && !(magazine = calloc(1, sizeof *magazine)))
		abort();
	return magazine;
}

/* Fills a magazine so that it hands out ascending addresses. */
static void fill(struct magazine *magazine)
{
	if (fresh == fresh_end) {
		fresh = aligned_alloc(CHUNK_BYTES, CHUNK_BYTES);
		if (!fresh)
			abort();
		fresh_end = fresh + CHUNK_BYTES;
	}
	for (int i = MAGAZINE - 1; i >= 0; i--) {
		magazine->nodes[i] = fresh;
		fresh += NODE_BYTES;
	}
	magazine->filled = MAGAZINE;
}

static void prepare(struct node_cache *cache)
{
	if (!is_registered) {
		is_registered = true;
		cache->next = caches;
		caches = cache;
	}
	if (!cache->current)
		cache->current = take_empty();
	if (!cache->previous)
		cache->previous = take_empty();
}

static void exchange(struct node_cache *cache)
{
	struct magazine *magazine = cache->current;

	cache->current = cache->previous;
	cache->previous = magazine;
}

void node_cache_refill(struct node_cache *cache)
{
	spin_lock(&depot_lock);
	prepare(cache);
	if (cache->previous->filled) {
		exchange(cache);
	} else if (full) {
		put(&empty, cache->previous);
		cache->previous = cache->current;
		cache->current = take(&full);
	} else {
		fill(cache->current);
	}
	spin_unlock(&depot_lock);
}

void node_cache_flush(struct node_cache *cache)
{
	spin_lock(&depot_lock);
	prepare(cache);
	if (cache->current->filled < MAGAZINE) {
		/* A thread's first free. */
	} else if (!cache->previous->filled) {
		exchange(cache);
	} else {
		put(&full, cache->previous);
		cache->previous = cache->current;
		cache->current = take_empty();
	}
	spin_unlock(&depot_lock);
}

long nodes_live(void)
{
	long live = 0;

	rcu_barrier();
	spin_lock(&depot_lock);
	for (struct node_cache *cache = caches; cache; cache = cache->next)
		live += cache->live;
	spin_unlock(&depot_lock);
	return live;
}
