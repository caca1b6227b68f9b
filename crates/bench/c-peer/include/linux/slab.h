/*
 * The kernel's slab calls over a pool of 256-byte nodes: each thread keeps two magazines, full and
 * empty ones are exchanged with a shared depot. See slab.c.
 */
#ifndef BENCH_SLAB_H
#define BENCH_SLAB_H

#include <linux/types.h>
#include <linux/gfp.h>
#include <stdbool.h>
#include <stddef.h>

#define SLAB_PANIC 0
#define MAGAZINE 64

struct kmem_cache;

struct magazine {
	struct magazine *next;
	unsigned int filled;
	void *nodes[MAGAZINE];
};

struct node_cache {
	struct magazine *current;
	struct magazine *previous;
	long live;
	struct node_cache *next;
};

extern __thread struct node_cache node_cache;
/* Bring a magazine with a node, or with room for one, to the front. */
void node_cache_refill(struct node_cache *cache);
void node_cache_flush(struct node_cache *cache);
/* Nodes allocated and not freed; waits for deferred frees first. */
long nodes_live(void);

static inline void *node_alloc(void)
{
	struct node_cache *cache = &node_cache;

	if (__builtin_expect(!cache->current || !cache->current->filled, 0))
		node_cache_refill(cache);
	cache->live++;
	return cache->current->nodes[--cache->current->filled];
}

static inline void node_free(void *node)
{
	struct node_cache *cache = &node_cache;

	if (__builtin_expect(!cache->current || cache->current->filled == MAGAZINE, 0))
		node_cache_flush(cache);
	cache->live--;
	cache->current->nodes[cache->current->filled++] = node;
}

#define kmem_cache_create(...) ((struct kmem_cache *)1)

static inline void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags)
{
	return node_alloc();
}

static inline void kmem_cache_free(struct kmem_cache *cache, void *node)
{
	node_free(node);
}

static inline void kfree(void *node)
{
	node_free(node);
}

static inline int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t flags, size_t count,
					void **nodes)
{
	for (size_t i = 0; i < count; i++)
		nodes[i] = node_alloc();
	return count;
}

static inline void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **nodes)
{
	for (size_t i = 0; i < count; i++)
		node_free(nodes[i]);
}

#endif
