/* The rows whose loops the kernel's own benchmark of its tree has: names begin with k_. */
#include "peer.h"

static void fill(struct maple_tree *tree, unsigned long end, unsigned long step, unsigned long len)
{
	tree_init(tree, 0);
	for (unsigned long i = 0; i < end; i += step)
		put_range(tree, i, i + len - 1, xa_mk_value(i));
}

void run_slot_store(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	uint64_t pairs = 4000000;

	fill(&tree, 1040, 10, 6);
	meter_start(&meter);
	for (uint64_t i = 0; i < pairs; i++) {
		put_range(&tree, 105, 105, NULL);
		put_range(&tree, 100, 105, xa_mk_value(105));
	}
	meter_stop(&meter);
	meter_print(row->name, 2 * pairs, &meter, tree_sum(&tree, NULL), "");
}

void run_node_store(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	uint64_t stores = 6000000;
	unsigned long at = 76;

	fill(&tree, 240, 10, 6);
	meter_start(&meter);
	for (uint64_t i = 0; i < stores; i++) {
		put_range(&tree, at, at + 15, xa_mk_value(at));
		at += 5;
		if (at >= 135)
			at = 76;
	}
	meter_stop(&meter);
	meter_print(row->name, stores, &meter, tree_sum(&tree, NULL), "");
}

void run_kernel_gap(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	uint64_t searches = 8000000, sum = 0;
	MA_STATE(mas, &tree, 1470, 1470);

	fill(&tree, 2500, 10, 6);
	put_range(&tree, 1470, 1475, NULL);
	meter_start(&meter);
	for (uint64_t i = 0; i < searches; i++) {
		sum += mas_empty_area_rev(&mas, 0, 2000, 10);
		sum += mas.index;
		mas_reset(&mas);
	}
	meter_stop(&meter);
	meter_print(row->name, searches, &meter, sum, "");
}

void run_kernel_lookup(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	uint64_t lookups = 30000000, sum = 0;
	MA_STATE(mas, &tree, 1470, 1470);

	fill(&tree, 2500, 10, 6);
	meter_start(&meter);
	if (row->options & WALK)
		for (uint64_t i = 0; i < lookups; i++) {
			sum += (unsigned long)mas_walk(&mas);
			mas_reset(&mas);
		}
	else
		for (uint64_t i = 0; i < lookups; i++)
			sum += (unsigned long)mtree_load(&tree, 1470);
	meter_stop(&meter);
	meter_print(row->name, lookups, &meter, sum, "");
}

void run_kernel_find_each(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	uint64_t passes = 30000, sum = 0;
	void *entry;

	fill(&tree, 2500, 5, 5);
	meter_start(&meter);
	for (uint64_t i = 0; i < passes; i++) {
		unsigned long index = 0;

		mt_for_each(&tree, entry, index, 2500)
			sum += xa_to_value(entry);
	}
	meter_stop(&meter);
	meter_print(row->name, 500 * passes, &meter, sum, "");
}

static void fill_uneven(struct maple_tree *tree)
{
	tree_init(tree, 0);
	for (unsigned long i = 0; i < 2500; i += 5)
		put_range(tree, i, i + (i % 30 ? 4 : 3), xa_mk_value(i));
}

void run_kernel_each(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	uint64_t passes = 60000, sum = 0;
	void *entry;
	MA_STATE(mas, &tree, 0, 0);

	fill_uneven(&tree);
	rcu_read_lock();
	meter_start(&meter);
	for (uint64_t i = 0; i < passes; i++) {
		mas_for_each(&mas, entry, 2500)
			sum += xa_to_value(entry);
		mas_set(&mas, 0);
	}
	meter_stop(&meter);
	rcu_read_unlock();
	meter_print(row->name, 500 * passes, &meter, sum, "");
}

void run_kernel_prev(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	uint64_t passes = 60000, sum = 0;
	void *entry;
	MA_STATE(mas, &tree, 0, 0);

	fill_uneven(&tree);
	rcu_read_lock();
	meter_start(&meter);
	for (uint64_t i = 0; i < passes; i++) {
		mas_set(&mas, ULONG_MAX);
		while ((entry = mas_prev(&mas, 0)))
			sum += xa_to_value(entry);
	}
	meter_stop(&meter);
	rcu_read_unlock();
	meter_print(row->name, 500 * passes, &meter, sum, "");
}

void run_kernel_fork(const struct row *row)
{
	struct maple_tree tree, copy;
	struct meter meter = { 0 };
	uint64_t forks = 80000, sum = 0;
	void *entry;
	MA_STATE(mas, &copy, 0, 0);

	mt_init_flags(&tree, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN);
	for (unsigned long i = 0; i < 135; i++) {
		MA_STATE(fill, &tree, 10 * i, 10 * i + 5);

		if (mas_store_gfp(&fill, xa_mk_value(i), GFP_KERNEL))
			abort();
	}
	meter_start(&meter);
	for (uint64_t i = 0; i < forks; i++) {
		mt_init_flags(&copy, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN);
		if (__mt_dup(&tree, &copy, GFP_KERNEL))
			abort();
		mas_set(&mas, 0);
		mas_for_each(&mas, entry, ULONG_MAX) {
			mas_store(&mas, entry);
			sum += xa_to_value(entry);
		}
		mas_destroy(&mas);
		__mt_destroy(&copy);
	}
	meter_stop(&meter);
	meter_print(row->name, forks, &meter, sum, "");
}
