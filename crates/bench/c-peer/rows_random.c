/* Rows of random lookups, stores and gap searches. */
#include "peer.h"

static uint64_t load_dependent(struct maple_tree *tree, const unsigned long *queries)
{
	unsigned long dependency = 0;
	uint64_t sum = 0;

	for (size_t j = 0; j < NR_QUERIES; j++) {
		dependency = (unsigned long)mtree_load(tree, queries[j] + dependency);
		sum += dependency;
		/* Zero, but the compiler and the processor must wait for the load to know. */
		asm volatile("and $0, %0" : "+r"(dependency));
	}
	return sum;
}

static uint64_t load_pass(struct maple_tree *tree, const unsigned long *queries, int options)
{
	uint64_t sum = 0;
	MA_STATE(mas, tree, 0, 0);

	if (options & DEPENDENT)
		return load_dependent(tree, queries);
	for (size_t j = 0; j < NR_QUERIES; j++) {
		unsigned long index = queries[j];

		if (options & WALK) {
			rcu_read_lock();
			mas_set(&mas, index);
			sum += (unsigned long)mas_walk(&mas);
			sum += mas.index;
			rcu_read_unlock();
		} else if (options & FIND) {
			sum += (unsigned long)mt_find(tree, &index, ULONG_MAX);
			sum += index;
		} else {
			sum += (unsigned long)mtree_load(tree, index);
		}
	}
	return sum;
}

void run_load(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	struct layout layout = layout_mappings(row->size);
	unsigned long *queries;
	uint64_t passes = row->size >= 1000000 ? 4 : 12, sum = 0;

	tree_build(&tree, &layout, row->options);
	queries = layout_queries(&layout);
	if (!load_pass(&tree, queries, 0))
		abort();
	meter_start(&meter);
	for (uint64_t pass = 0; pass < passes; pass++)
		sum += load_pass(&tree, queries, row->options);
	meter_stop(&meter);
	meter_print(row->name, passes * NR_QUERIES, &meter, sum, memory_note(row->size));
}

static void mix_store(struct maple_tree *tree, uint64_t z, unsigned long first)
{
	put_range(tree, first, first + (z >> 8 & 15), xa_mk_value((z >> 20 & 0xffffff) | 1));
}

void run_mix(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	struct random random = { 2024 };
	uint64_t domain = 1UL << row->size, ops = 3000000, count, sum;

	tree_init(&tree, row->options);
	for (uint64_t i = 0; i < domain / 8; i++) {
		uint64_t z = random_next(&random);

		mix_store(&tree, z, random_below(&random, domain));
	}
	meter_start(&meter);
	for (uint64_t i = 0; i < ops; i++) {
		uint64_t z = random_next(&random), first = random_below(&random, domain);

		if (z & 3)
			mix_store(&tree, z, first);
		else
			mtree_erase(&tree, first);
	}
	meter_stop(&meter);
	sum = tree_sum(&tree, &count);
	meter_print(row->name, ops, &meter, sum, memory_note(count));
}

void run_remap(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	struct random random = { 99 };
	struct layout layout = layout_mappings(row->size);
	uint64_t pairs = 1000000, sum;

	tree_build(&tree, &layout, row->options);
	meter_start(&meter);
	for (uint64_t i = 0; i < pairs; i++) {
		size_t k = random_below(&random, layout.count);

		put_range(&tree, layout.first[k], layout.last[k], NULL);
		put_range(&tree, layout.first[k], layout.last[k], value(k));
	}
	meter_stop(&meter);
	sum = tree_sum(&tree, NULL);
	meter_print(row->name, 2 * pairs, &meter, sum, memory_note(row->size));
}

struct place {
	unsigned long first, size;
};

static uint64_t mmapsim_step(struct maple_tree *tree, struct place *places, uint64_t count,
			     uint64_t z)
{
	size_t k = scale(z, count);
	struct place *place = &places[k];

	if (place->size) {
		put_range(tree, place->first, place->first + place->size - 1, NULL);
		place->size = 0;
		return 0;
	}
	place->size = (1 + (z >> 8 & 15)) * PAGE;
	if (mtree_alloc_rrange(tree, &place->first, value(k), place->size, BASE,
			       0x7ffffffff000 - 1, GFP_KERNEL))
		abort();
	return place->first;
}

void run_mmapsim(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	struct random random = { 77 };
	struct place *places = calloc(row->size, sizeof *places);
	uint64_t ops = 2000000, sum = 0, count;

	if (!places)
		abort();
	tree_init(&tree, row->options);
	for (long i = 0; i < 4 * row->size; i++)
		sum += mmapsim_step(&tree, places, row->size, random_next(&random));
	meter_start(&meter);
	for (uint64_t i = 0; i < ops; i++)
		sum += mmapsim_step(&tree, places, row->size, random_next(&random));
	meter_stop(&meter);
	sum ^= tree_sum(&tree, &count);
	meter_print(row->name, ops, &meter, sum, memory_note(count));
}

void run_gap(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	struct random random = { 555 };
	struct layout layout = layout_gaps(row->size);
	uint64_t searches = 1000000, sum = 0;
	MA_STATE(mas, &tree, 0, 0);

	tree_build(&tree, &layout, row->options);
	rcu_read_lock();
	meter_start(&meter);
	for (uint64_t i = 0; i < searches; i++) {
		unsigned long at = BASE + random_below(&random, layout.top - BASE) / PAGE * PAGE;
		unsigned long size = PAGE << random_next(&random) % 10;
		int error;

		mas_reset(&mas);
		if (row->options & FIND)
			error = mas_empty_area_rev(&mas, BASE, at + PAGE - 1, size);
		else
			error = mas_empty_area(&mas, at, layout.top - 1, size);
		if (!error)
			sum += mas.index;
	}
	meter_stop(&meter);
	rcu_read_unlock();
	meter_print(row->name, searches, &meter, sum, memory_note(row->size));
}
