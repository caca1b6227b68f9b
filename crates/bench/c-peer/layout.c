/* The ranges, the queries and the orders, all from fixed seeds. */
#include "peer.h"

static struct layout layout_new(size_t count)
{
	struct layout layout = { .count = count, .top = BASE };

	layout.first = malloc(count * sizeof(long));
	layout.last = malloc(count * sizeof(long));
	if (!layout.first || !layout.last)
		abort();
	return layout;
}

static void layout_set(struct layout *layout, size_t i, unsigned long gap, unsigned long len)
{
	layout->first[i] = layout->top + gap * PAGE;
	layout->top = layout->first[i] + len * PAGE;
	layout->last[i] = layout->top - 1;
}

struct layout layout_mappings(size_t count)
{
	struct layout layout = layout_new(count);
	struct random random = { 42 };

	for (size_t i = 0; i < count; i++) {
		uint64_t x = random_next(&random), gap = 0, len = 1;
		unsigned int kind = x & 7, class = x >> 32 & 15;

		if (kind >= 4)
			gap = 1 + (x >> 8 & (kind < 7 ? 15 : 1023));
		if (class >= 8)
			len = 1 + (x >> 40 & (class < 12 ? 15 : class < 15 ? 255 : 4095));
		layout_set(&layout, i, gap, len);
	}
	return layout;
}

struct layout layout_gaps(size_t count)
{
	struct layout layout = layout_new(count);
	struct random random = { 43 };

	for (size_t i = 0; i < count; i++) {
		uint64_t x = random_next(&random);
		int zeros = __builtin_ctzl((x & 0xffff) | 0x10000);

		layout_set(&layout, i, (1UL << zeros) >> 1, 1 + (x >> 32 & 15));
	}
	return layout;
}

unsigned long *layout_queries(const struct layout *layout)
{
	struct random random = { 1001 };
	unsigned long *queries = malloc(NR_QUERIES * sizeof *queries);

	if (!queries)
		abort();
	for (size_t j = 0; j < NR_QUERIES; j++) {
		size_t k = random_below(&random, layout->count);
		unsigned long len = layout->last[k] - layout->first[k] + 1;

		queries[j] = layout->first[k] + random_below(&random, len);
	}
	return queries;
}

size_t *layout_shuffle(size_t count)
{
	struct random random = { 7 };
	size_t *order = malloc(count * sizeof *order);

	if (!order)
		abort();
	for (size_t i = 0; i < count; i++)
		order[i] = i;
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = random_below(&random, i + 1), other = order[j];

		order[j] = order[i];
		order[i] = other;
	}
	return order;
}
