/* A program that cannot be loaded: the kernel finds that out when it is too late to go back,
 * and kills the process.
 */
static char data[1UL << 46];

int main(void) {
    return data[1UL << 40];
}
