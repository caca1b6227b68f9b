/* What the rows share: the tree's interface, the measuring, the data. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/gfp.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/maple_tree.h>
#include <linux/xarray.h>

#define PAGE 4096UL
#define BASE 0x10000UL
#define NR_QUERIES (1UL << 20)

/* What a meter has counted between its starts and stops. */
struct meter {
	double ns;
	uint64_t counts[3]; /* cycles, instructions, branch misses */
	double since;
	uint64_t counts_before[3];
};

void meter_open(void); /* once in each thread that measures */
void meter_start(struct meter *meter);
void meter_stop(struct meter *meter);
/* Prints the row: ops, ns, cycles, instructions, branch misses (all totals), checksum, note. */
void meter_print(const char *name, uint64_t ops, const struct meter *meter, uint64_t checksum,
		 const char *note);

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9E3779B97F4A7C15;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
	return z ^ (z >> 31);
}

static inline uint64_t scale(uint64_t z, uint64_t bound)
{
	return (unsigned __int128)z * bound >> 64;
}

static inline uint64_t random_below(struct random *random, uint64_t bound)
{
	return scale(random_next(random), bound);
}

struct layout {
	size_t count;
	unsigned long *first, *last; /* of each range, both included */
	unsigned long top; /* the first index above all ranges */
};

struct layout layout_mappings(size_t count);
struct layout layout_gaps(size_t count);
unsigned long *layout_queries(const struct layout *layout);
size_t *layout_shuffle(size_t count);

static inline void *value(unsigned long i)
{
	return xa_mk_value(i + 1);
}

/* What tells a row from its siblings. */
enum option {
	NO_GAPS = 1,
	RANDOM_ORDER = 2,
	DEPENDENT = 4,
	WALK = 8,
	FIND = 16,
	RCU = 32,
};

struct row {
	const char *name;
	void (*run)(const struct row *row);
	long size;
	int options;
};

void tree_init(struct maple_tree *tree, int options);
void tree_build(struct maple_tree *tree, const struct layout *layout, int options);
uint64_t tree_sum(struct maple_tree *tree, uint64_t *count);
/* A note with the bytes per entry of the only tree there is. */
const char *memory_note(size_t entries);

static inline void put_range(struct maple_tree *tree, unsigned long first, unsigned long last,
			     void *entry)
{
	if (mtree_store_range(tree, first, last, entry, GFP_KERNEL))
		abort();
}

void run_slot_store(const struct row *row);
void run_node_store(const struct row *row);
void run_kernel_gap(const struct row *row);
void run_kernel_lookup(const struct row *row);
void run_kernel_find_each(const struct row *row);
void run_kernel_each(const struct row *row);
void run_kernel_prev(const struct row *row);
void run_kernel_fork(const struct row *row);
void run_load(const struct row *row);
void run_mix(const struct row *row);
void run_remap(const struct row *row);
void run_mmapsim(const struct row *row);
void run_gap(const struct row *row);
void run_build(const struct row *row);
void run_iterate(const struct row *row);
void run_duplicate(const struct row *row);
void run_threads(const struct row *row);

#endif
