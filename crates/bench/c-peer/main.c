/*
 * The C side of the benchmark: `c-peer ROW` runs one row of the workload table and prints it;
 * `c-peer` alone lists the rows. Each row wants a process of its own: fresh pool, fresh RCU.
 */
#include "peer.h"

void tree_init(struct maple_tree *tree, int options)
{
	mt_init_flags(tree, (options & NO_GAPS ? 0 : MT_FLAGS_ALLOC_RANGE) |
				    (options & RCU ? MT_FLAGS_USE_RCU : 0));
}

uint64_t tree_sum(struct maple_tree *tree, uint64_t *count)
{
	uint64_t sum = 0, nr = 0;
	void *entry;
	MA_STATE(mas, tree, 0, 0);

	rcu_read_lock();
	mas_for_each(&mas, entry, ULONG_MAX) {
		sum += mas.index * 3 + mas.last * 5 + xa_to_value(entry) * 7;
		nr++;
	}
	rcu_read_unlock();
	if (count)
		*count = nr;
	return sum;
}

const char *memory_note(size_t entries)
{
	static char note[64];

	snprintf(note, sizeof note, "bytes_per_entry=%.1f", nodes_live() * 256.0 / entries);
	return note;
}

static const struct row rows[] = {
	{ "k_slot_store", run_slot_store },
	{ "k_node_store", run_node_store },
	{ "k_awalk", run_kernel_gap },
	{ "k_walk", run_kernel_lookup, 0, WALK },
	{ "k_load", run_kernel_lookup },
	{ "k_mt_for_each", run_kernel_find_each },
	{ "k_next_from_root", run_kernel_find_each },
	{ "k_mas_for_each", run_kernel_each },
	{ "k_mas_prev", run_kernel_prev },
	{ "k_fork", run_kernel_fork },
	{ "load", run_load },
	{ "loaddep", run_load, 0, DEPENDENT },
	{ "load_r64", run_load, 0, NO_GAPS },
	{ "load_rnd", run_load, 0, RANDOM_ORDER },
	{ "loaddep_rnd", run_load, 0, RANDOM_ORDER | DEPENDENT },
	{ "walk", run_load, 0, WALK },
	{ "find", run_load, 0, FIND },
	{ "mix14", run_mix, 14 },
	{ "mix14_rcu", run_mix, 14, RCU },
	{ "mix20", run_mix, 20 },
	{ "mix20_rcu", run_mix, 20, RCU },
	{ "mix14_r64", run_mix, 14, NO_GAPS },
	{ "mix14_r64_rcu", run_mix, 14, NO_GAPS | RCU },
	{ "mix20_r64", run_mix, 20, NO_GAPS },
	{ "mix20_r64_rcu", run_mix, 20, NO_GAPS | RCU },
	{ "remap", run_remap },
	{ "remap_rcu", run_remap, 0, RCU },
	{ "mmapsim", run_mmapsim },
	{ "mmapsim_rcu", run_mmapsim, 0, RCU },
	{ "gap_fwd", run_gap },
	{ "gap_rev", run_gap, 0, FIND },
	{ "build_seq", run_build },
	{ "build_seq_r64", run_build, 0, NO_GAPS },
	{ "build_mas", run_build, 0, WALK },
	{ "build_app", run_build, 0, WALK },
	{ "build_rnd", run_build, 0, RANDOM_ORDER },
	{ "build_rnd_r64", run_build, 0, RANDOM_ORDER | NO_GAPS },
	{ "iter", run_iterate },
	{ "iter_rnd", run_iterate, 0, RANDOM_ORDER },
	{ "iter_r64", run_iterate, 0, NO_GAPS },
	{ "mt_for_each", run_iterate, 0, FIND },
	{ "next_from_root", run_iterate, 0, FIND },
	{ "dup", run_duplicate },
	{ "dup_rnd", run_duplicate, 0, RANDOM_ORDER },
	{ "mt_2readers", run_threads },
	{ "mt_reader_writer", run_threads, 0, WALK },
};

static void run(const struct row *known, const char *name, long size)
{
	struct row row = *known;

	row.name = name;
	if (size)
		row.size = size;
	rcu_register_thread();
	meter_open();
	maple_tree_init();
	row.run(&row);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = strlen(rows[i].name);

		if (argc < 2)
			puts(rows[i].name);
		else if (!strncmp(argv[1], rows[i].name, len) && argv[1][len] == '/')
			return run(&rows[i], argv[1], atol(argv[1] + len + 1)), 0;
		else if (!strcmp(argv[1], rows[i].name))
			return run(&rows[i], argv[1], 0), 0;
	}
	if (argc < 2)
		return 0;
	fprintf(stderr, "c-peer: no row %s\n", argv[1]);
	return 2;
}
