/* Clock and counters of the calling thread, user space only. */
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include "peer.h"

static __thread int leader = -1;

static int open_counter(uint64_t config, int group)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof attributes,
		.config = config,
		.disabled = group == -1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.read_format = PERF_FORMAT_GROUP,
	};

	return syscall(SYS_perf_event_open, &attributes, 0, -1, group, 0);
}

void meter_open(void)
{
	leader = open_counter(PERF_COUNT_HW_CPU_CYCLES, -1);
	if (leader < 0)
		return;
	if (open_counter(PERF_COUNT_HW_INSTRUCTIONS, leader) < 0 ||
	    open_counter(PERF_COUNT_HW_BRANCH_MISSES, leader) < 0)
		leader = -1;
	else
		ioctl(leader, PERF_EVENT_IOC_ENABLE, 0);
}

static void read_counters(uint64_t counts[3])
{
	struct {
		uint64_t nr, counts[3];
	} group = { 0 };

	if (leader >= 0 && read(leader, &group, sizeof group) > 0)
		memcpy(counts, group.counts, sizeof group.counts);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

/* The clock is read next to the work, so that the counters' system calls stay outside. */
void meter_start(struct meter *meter)
{
	read_counters(meter->counts_before);
	meter->since = now();
}

void meter_stop(struct meter *meter)
{
	uint64_t counts[3] = { 0 };

	meter->ns += now() - meter->since;
	read_counters(counts);
	for (int i = 0; i < 3; i++)
		meter->counts[i] += counts[i] - meter->counts_before[i];
}

void meter_print(const char *name, uint64_t ops, const struct meter *meter, uint64_t checksum,
		 const char *note)
{
	printf("%s\t%lu\t%.0f\t%lu\t%lu\t%lu\t%lu\t%s\n", name, ops, meter->ns, meter->counts[0],
	       meter->counts[1], meter->counts[2], checksum, note);
	fflush(stdout);
}
