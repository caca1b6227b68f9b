/* Rows on whole trees (build, iterate, duplicate), and those with two threads. */
#include <pthread.h>
#include "peer.h"

static void store_ascending(struct maple_tree *tree, const struct layout *layout)
{
	MA_STATE(mas, tree, 0, 0);

	mas_lock(&mas);
	for (size_t i = 0; i < layout->count; i++) {
		mas_set_range(&mas, layout->first[i], layout->last[i]);
		if (mas_store_gfp(&mas, value(i), GFP_KERNEL))
			abort();
	}
	mas_unlock(&mas);
}

static void store_in_order(struct maple_tree *tree, const struct layout *layout,
			   const size_t *order)
{
	for (size_t i = 0; i < layout->count; i++) {
		size_t k = order ? order[i] : i;

		put_range(tree, layout->first[k], layout->last[k], value(k));
	}
}

void tree_build(struct maple_tree *tree, const struct layout *layout, int options)
{
	size_t *order = options & RANDOM_ORDER ? layout_shuffle(layout->count) : NULL;

	tree_init(tree, options);
	store_in_order(tree, layout, order);
	free(order);
}

void run_build(const struct row *row)
{
	struct meter meter = { 0 };
	struct layout layout = layout_mappings(row->size);
	size_t *order = row->options & RANDOM_ORDER ? layout_shuffle(layout.count) : NULL;
	uint64_t builds = row->size >= 1000000 ? 3 : row->size >= 65000 ? 30 : 2000, sum = 0;
	const char *note = "";

	for (uint64_t build = 0; build < builds; build++) {
		struct maple_tree tree;

		tree_init(&tree, row->options);
		meter_start(&meter);
		if (row->options & WALK)
			store_ascending(&tree, &layout);
		else
			store_in_order(&tree, &layout, order);
		meter_stop(&meter);
		if (build == builds - 1) {
			sum = tree_sum(&tree, NULL);
			note = memory_note(layout.count);
		}
		mtree_destroy(&tree);
	}
	meter_print(row->name, builds * layout.count, &meter, sum, note);
}

void run_iterate(const struct row *row)
{
	struct maple_tree tree;
	struct meter meter = { 0 };
	struct layout layout = layout_mappings(row->size);
	uint64_t passes = 20000000 / row->size, sum = 0;
	void *entry;

	tree_build(&tree, &layout, row->options);
	if (!tree_sum(&tree, NULL))
		abort();
	meter_start(&meter);
	for (uint64_t pass = 0; pass < passes; pass++) {
		unsigned long index = 0;

		if (row->options & FIND)
			mt_for_each(&tree, entry, index, ULONG_MAX)
				sum += xa_to_value(entry);
		else
			sum += tree_sum(&tree, NULL);
	}
	meter_stop(&meter);
	meter_print(row->name, passes * row->size, &meter, sum, memory_note(row->size));
}

void run_duplicate(const struct row *row)
{
	struct maple_tree tree, copies[8];
	struct meter making = { 0 }, ending = { 0 }, unused = { 0 };
	struct layout layout = layout_mappings(row->size);
	int batches = row->size >= 65000 ? 200 : row->size >= 1000 ? 2000 : 20000;
	int per_batch = row->size >= 65000 ? 1 : 8;
	uint64_t sum = 0, ops = (uint64_t)(batches - 1) * per_batch;
	char name[64];

	tree_build(&tree, &layout, row->options);
	tree.ma_flags |= MT_FLAGS_LOCK_EXTERN;
	for (int batch = 0; batch < batches; batch++) {
		meter_start(batch ? &making : &unused);
		for (int i = 0; i < per_batch; i++) {
			mt_init_flags(&copies[i], MT_FLAGS_ALLOC_RANGE | MT_FLAGS_LOCK_EXTERN);
			if (__mt_dup(&tree, &copies[i], GFP_KERNEL))
				abort();
		}
		meter_stop(batch ? &making : &unused);
		if (batch == batches - 1)
			sum = tree_sum(&copies[0], NULL);
		meter_start(batch ? &ending : &unused);
		for (int i = 0; i < per_batch; i++)
			__mt_destroy(&copies[i]);
		meter_stop(batch ? &ending : &unused);
	}
	meter_print(row->name, ops, &making, sum, memory_note(row->size));
	snprintf(name, sizeof name, "%s.destroy", row->name);
	meter_print(name, ops, &ending, sum, "");
}

struct thread {
	struct maple_tree *tree;
	const struct layout *layout;
	const unsigned long *queries;
	size_t offset;
	struct meter meter;
	uint64_t ops, missed;
};

static pthread_barrier_t start;
static int is_over;

static void *read_all(void *argument)
{
	struct thread *thread = argument;

	rcu_register_thread();
	meter_open();
	pthread_barrier_wait(&start);
	meter_start(&thread->meter);
	for (int pass = 0; pass < 16; pass++)
		for (size_t j = 0; j < NR_QUERIES; j++) {
			size_t k = (j + thread->offset) % NR_QUERIES;

			thread->missed += !mtree_load(thread->tree, thread->queries[k]);
		}
	meter_stop(&thread->meter);
	thread->ops = 16 * NR_QUERIES;
	rcu_unregister_thread();
	return NULL;
}

static void *write_until_over(void *argument)
{
	struct thread *thread = argument;
	const struct layout *layout = thread->layout;
	struct random random = { 99 };

	rcu_register_thread();
	pthread_barrier_wait(&start);
	meter_start(&thread->meter);
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		size_t k = random_below(&random, layout->count);

		put_range(thread->tree, layout->first[k], layout->last[k], NULL);
		put_range(thread->tree, layout->first[k], layout->last[k], value(k));
		thread->ops += 2;
	}
	meter_stop(&thread->meter);
	rcu_unregister_thread();
	return NULL;
}

void run_threads(const struct row *row)
{
	struct maple_tree tree;
	struct layout layout = layout_mappings(row->size);
	struct thread first = { .tree = &tree, .layout = &layout }, second;
	pthread_t ids[2];
	char note[96] = "";

	tree_build(&tree, &layout, RCU);
	first.queries = layout_queries(&layout);
	second = first;
	second.offset = NR_QUERIES / 2;
	pthread_barrier_init(&start, NULL, 2);
	pthread_create(&ids[0], NULL, read_all, &first);
	pthread_create(&ids[1], NULL, row->options & WALK ? write_until_over : read_all, &second);
	pthread_join(ids[0], NULL);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(ids[1], NULL);
	if (row->options & WALK)
		snprintf(note, sizeof note, "writer_ns=%.1f missed_per_million=%.0f",
			 second.meter.ns / second.ops, 1e6 * first.missed / first.ops);
	meter_print(row->name, first.ops, &first.meter, 0, note);
}
