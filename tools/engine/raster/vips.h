// Fixed-argument wrappers around libvips' variadic calls, which cgo cannot
// make. Every function returns 0, or -1 with the reason in vips_error_buffer.
#ifndef MEDIAFN_VIPS_H
#define MEDIAFN_VIPS_H

#include <stdlib.h>
#include <vips/vips.h>

enum { MF_JPEG, MF_PNG, MF_WEBP, MF_GIF, MF_HEIF, MF_TIFF, MF_SVG };

typedef struct {
	int page, pages; // pages -1 = all
	int shrink;      // jpeg: 1, 2, 4, 8
	double scale;    // webp, svg
	int random;      // whole picture in memory instead of one pass
	int lenient;
} mf_load_options;

typedef struct {
	int quality, progressive, no_subsample, palette, colors, lossless, effort, strip;
} mf_save_options;

int mf_init(void);
int mf_load(int format, void *buf, size_t len, const mf_load_options *o, VipsImage **out);
int mf_pixels(const void *px, int w, int h, int bands, VipsImage **out);

int mf_extract(VipsImage *in, VipsImage **out, int x, int y, int w, int h);
int mf_resize(VipsImage *in, VipsImage **out, double sx, double sy, int kernel);
int mf_premultiply(VipsImage *in, VipsImage **out);
int mf_unpremultiply(VipsImage *in, VipsImage **out);
int mf_cast(VipsImage *in, VipsImage **out, int format);
int mf_colourspace(VipsImage *in, VipsImage **out, int space);
int mf_to_srgb(VipsImage *in, VipsImage **out, int depth);
int mf_rot(VipsImage *in, VipsImage **out, int quarter);
int mf_flip(VipsImage *in, VipsImage **out, int vertical);
int mf_smartcrop(VipsImage *in, VipsImage **out, int w, int h, int *x, int *y);
int mf_find_trim(VipsImage *in, double threshold, double *bg, int n, int *x, int *y, int *w, int *h);
int mf_getpoint(VipsImage *in, int x, int y, double *out, int max, int *n);
int mf_flatten(VipsImage *in, VipsImage **out, double *bg, int n);
int mf_underlay(VipsImage *in, VipsImage **out, double *rgba, int n);
int mf_blur(VipsImage *in, VipsImage **out, double sigma);
int mf_sharpen(VipsImage *in, VipsImage **out, double sigma);
int mf_shrink(VipsImage *in, VipsImage **out, int by);
int mf_zoom(VipsImage *in, VipsImage **out, int by);
int mf_embed(VipsImage *in, VipsImage **out, int x, int y, int w, int h, int copy_edge);
int mf_linear(VipsImage *in, VipsImage **out, double *a, double *b, int n);
int mf_add_alpha(VipsImage *in, VipsImage **out);
int mf_memory(VipsImage *in, VipsImage **out);
int mf_copy(VipsImage *in, VipsImage **out);
int mf_join(VipsImage **in, VipsImage **out, int n);

int mf_field_int(VipsImage *in, const char *name, int missing);
char **mf_fields(VipsImage *in);
int mf_field_string(VipsImage *in, const char *name, char **out);
const char *mf_space_name(int space);

int mf_save(int format, VipsImage *in, const mf_save_options *o, int heic, void **buf, size_t *len);

#endif
