/* Compiles the kernel's tree, from where the build script unpacked it. */
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/gfp.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/init.h>

#define MODULE_LICENSE(text)
#include TREE_SOURCE
