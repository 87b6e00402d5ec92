// The reference of BenchmarkTransform: libvips alone, in a loop, one thread.
// It reads a line with a count, runs so often, and prints the seconds.
#include <stdio.h>
#include <time.h>
#include <vips/vips.h>

int main(int argc, char **argv) {
	gchar *in;
	gsize n;
	int count;
	if (VIPS_INIT(argv[0]) || argc != 3 || !g_file_get_contents(argv[1], &in, &n, NULL))
		return 1;
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	while (scanf("%d", &count) == 1) {
		struct timespec a, b;
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (int i = 0; i < count; i++) {
			VipsImage *im;
			void *out;
			size_t len;
			if (vips_thumbnail_buffer(in, n, &im, atoi(argv[2]), "height", 100000, NULL) ||
				// The engine's own encoder settings: the result is the same picture.
				vips_jpegsave_buffer(im, &out, &len, "Q", 80, "optimize_coding", TRUE, "strip", TRUE, NULL))
				vips_error_exit(NULL);
			g_object_unref(im);
			g_free(out);
		}
		clock_gettime(CLOCK_MONOTONIC, &b);
		printf("%.9f\n", b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9);
		fflush(stdout);
	}
	return 0;
}
