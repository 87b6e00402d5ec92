#include "vips.h"

#include <malloc.h>

int mf_init(void) {
	// One thread works and buffers are large and short-lived: keep freed memory
	// instead of returning it to the kernel page by page after every image.
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 128 << 20);
	g_setenv("VIPS_WARNING", "0", TRUE); // an odd file is no news; what fails is answered
	if (VIPS_INIT("mediafn-engine"))
		return -1;
	vips_concurrency_set(1); // the pool runs one child per core
	vips_cache_set_max(0);   // no picture comes twice
	vips_cache_set_max_mem(0);
	vips_cache_set_max_files(0);
	vips_block_untrusted_set(TRUE);
	vips_operation_block_set("VipsForeignLoad", TRUE);
	const char *allowed[] = {"VipsForeignLoadJpegBuffer", "VipsForeignLoadPngBuffer", "VipsForeignLoadWebpBuffer",
		"VipsForeignLoadNsgifBuffer", "VipsForeignLoadHeifBuffer", "VipsForeignLoadTiffBuffer", "VipsForeignLoadSvgBuffer"};
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		vips_operation_block_set(allowed[i], FALSE);
	return 0;
}

int mf_load(int format, void *buf, size_t len, const mf_load_options *o, VipsImage **out) {
	VipsAccess access = o->random ? VIPS_ACCESS_RANDOM : VIPS_ACCESS_SEQUENTIAL;
	VipsFailOn fail = o->lenient ? VIPS_FAIL_ON_NONE : VIPS_FAIL_ON_TRUNCATED;
	switch (format) {
	case MF_JPEG:
		return vips_jpegload_buffer(buf, len, out, "shrink", o->shrink, "access", access, "fail_on", fail, NULL);
	case MF_PNG:
		return vips_pngload_buffer(buf, len, out, "access", access, "fail_on", fail, NULL);
	case MF_WEBP:
		return vips_webpload_buffer(buf, len, out, "page", o->page, "n", o->pages, "scale", o->scale, "access", access,
			"fail_on", fail, NULL);
	case MF_GIF:
		return vips_gifload_buffer(buf, len, out, "page", o->page, "n", o->pages, "access", access, "fail_on", fail, NULL);
	case MF_HEIF:
		return vips_heifload_buffer(buf, len, out, "page", o->page, "n", 1, "access", access, "fail_on", fail, NULL);
	case MF_TIFF:
		return vips_tiffload_buffer(buf, len, out, "page", o->page, "n", 1, "access", access, "fail_on", fail, NULL);
	case MF_SVG:
		return vips_svgload_buffer(buf, len, out, "scale", o->scale, "access", access, "fail_on", fail, NULL);
	}
	vips_error("mediafn", "no loader %d", format);
	return -1;
}

int mf_pixels(const void *px, int w, int h, int bands, VipsImage **out) {
	VipsImage *im = vips_image_new_from_memory_copy(px, (size_t) w * h * bands, w, h, bands, VIPS_FORMAT_UCHAR);
	if (!im)
		return -1;
	int r = vips_copy(im, out, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
	g_object_unref(im);
	return r;
}

int mf_extract(VipsImage *in, VipsImage **out, int x, int y, int w, int h) {
	return vips_extract_area(in, out, x, y, w, h, NULL);
}

int mf_resize(VipsImage *in, VipsImage **out, double sx, double sy, int kernel) {
	return vips_resize(in, out, sx, "vscale", sy, "kernel", kernel, NULL);
}

int mf_premultiply(VipsImage *in, VipsImage **out) { return vips_premultiply(in, out, NULL); }
int mf_unpremultiply(VipsImage *in, VipsImage **out) { return vips_unpremultiply(in, out, NULL); }
int mf_cast(VipsImage *in, VipsImage **out, int format) { return vips_cast(in, out, format, NULL); }
int mf_colourspace(VipsImage *in, VipsImage **out, int space) { return vips_colourspace(in, out, space, NULL); }

int mf_to_srgb(VipsImage *in, VipsImage **out, int depth) {
	// A picture without a profile of its own is taken for libvips' default CMYK.
	if (in->Type == VIPS_INTERPRETATION_CMYK)
		return vips_icc_transform(in, out, "srgb", "embedded", TRUE, "input_profile", "cmyk", "depth", depth,
			"intent", VIPS_INTENT_PERCEPTUAL, NULL);
	return vips_icc_transform(in, out, "srgb", "embedded", TRUE, "depth", depth, "intent", VIPS_INTENT_PERCEPTUAL, NULL);
}

int mf_rot(VipsImage *in, VipsImage **out, int quarter) { return vips_rot(in, out, quarter, NULL); }

int mf_flip(VipsImage *in, VipsImage **out, int vertical) {
	return vips_flip(in, out, vertical ? VIPS_DIRECTION_VERTICAL : VIPS_DIRECTION_HORIZONTAL, NULL);
}

int mf_smartcrop(VipsImage *in, VipsImage **out, int w, int h, int *x, int *y) {
	if (vips_smartcrop(in, out, w, h, "interesting", VIPS_INTERESTING_ATTENTION, NULL))
		return -1;
	*x = -vips_image_get_xoffset(*out);
	*y = -vips_image_get_yoffset(*out);
	return 0;
}

int mf_find_trim(VipsImage *in, double threshold, double *bg, int n, int *x, int *y, int *w, int *h) {
	VipsArrayDouble *a = vips_array_double_new(bg, n);
	int r = vips_find_trim(in, x, y, w, h, "threshold", threshold, "background", a, NULL);
	vips_area_unref(VIPS_AREA(a));
	return r;
}

int mf_getpoint(VipsImage *in, int x, int y, double *out, int max, int *n) {
	double *v = NULL;
	if (vips_getpoint(in, &v, n, x, y, NULL))
		return -1;
	*n = VIPS_MIN(*n, max);
	for (int i = 0; i < *n; i++)
		out[i] = v[i];
	g_free(v);
	return 0;
}

int mf_flatten(VipsImage *in, VipsImage **out, double *bg, int n) {
	VipsArrayDouble *a = vips_array_double_new(bg, n);
	int r = vips_flatten(in, out, "background", a, NULL);
	vips_area_unref(VIPS_AREA(a));
	return r;
}

int mf_underlay(VipsImage *in, VipsImage **out, double *rgba, int n) {
	VipsImage *base = vips_image_new_from_image(in, rgba, n);
	if (!base)
		return -1;
	int r = vips_composite2(base, in, out, VIPS_BLEND_MODE_OVER, "compositing_space", in->Type, NULL);
	g_object_unref(base);
	return r;
}

int mf_blur(VipsImage *in, VipsImage **out, double sigma) { return vips_gaussblur(in, out, sigma, NULL); }
int mf_sharpen(VipsImage *in, VipsImage **out, double sigma) { return vips_sharpen(in, out, "sigma", sigma, NULL); }
int mf_shrink(VipsImage *in, VipsImage **out, int by) { return vips_shrink(in, out, by, by, NULL); }
int mf_zoom(VipsImage *in, VipsImage **out, int by) { return vips_zoom(in, out, by, by, NULL); }

int mf_embed(VipsImage *in, VipsImage **out, int x, int y, int w, int h, int copy_edge) {
	return vips_embed(in, out, x, y, w, h, "extend", copy_edge ? VIPS_EXTEND_COPY : VIPS_EXTEND_BLACK, NULL);
}

int mf_linear(VipsImage *in, VipsImage **out, double *a, double *b, int n) { return vips_linear(in, out, a, b, n, NULL); }
int mf_add_alpha(VipsImage *in, VipsImage **out) { return vips_addalpha(in, out, NULL); }

int mf_memory(VipsImage *in, VipsImage **out) {
	*out = vips_image_copy_memory(in);
	return *out ? 0 : -1;
}

int mf_copy(VipsImage *in, VipsImage **out) { return vips_copy(in, out, NULL); }
int mf_join(VipsImage **in, VipsImage **out, int n) { return vips_arrayjoin(in, out, n, "across", 1, NULL); }

int mf_field_int(VipsImage *in, const char *name, int missing) {
	int v = missing;
	if (!vips_image_get_typeof(in, name))
		return missing;
	if (vips_image_get_int(in, name, &v)) {
		vips_error_clear();
		return missing;
	}
	return v;
}

char **mf_fields(VipsImage *in) { return vips_image_get_fields(in); }
int mf_field_string(VipsImage *in, const char *name, char **out) { return vips_image_get_as_string(in, name, out); }
const char *mf_space_name(int space) { return vips_enum_nick(VIPS_TYPE_INTERPRETATION, space); }

int mf_save(int format, VipsImage *in, const mf_save_options *o, int heic, void **buf, size_t *len) {
	VipsForeignSubsample sub = o->no_subsample ? VIPS_FOREIGN_SUBSAMPLE_OFF : VIPS_FOREIGN_SUBSAMPLE_AUTO;
	int bits = o->colors <= 2 ? 1 : o->colors <= 4 ? 2 : o->colors <= 16 ? 4 : 8;
	switch (format) {
	case MF_JPEG:
		return vips_jpegsave_buffer(in, buf, len, "Q", o->quality, "optimize_coding", TRUE, "interlace", o->progressive,
			"subsample_mode", sub, "strip", o->strip, NULL);
	case MF_PNG:
		if (o->palette)
			return vips_pngsave_buffer(in, buf, len, "compression", o->effort, "interlace", o->progressive, "filter",
				VIPS_FOREIGN_PNG_FILTER_NONE, "palette", TRUE, "Q", 100, "bitdepth", bits, "strip", o->strip, NULL);
		return vips_pngsave_buffer(in, buf, len, "compression", o->effort, "interlace", o->progressive, "filter",
			VIPS_FOREIGN_PNG_FILTER_ALL, "strip", o->strip, NULL);
	case MF_WEBP:
		return vips_webpsave_buffer(in, buf, len, "Q", o->quality, "lossless", o->lossless, "effort", o->effort, "strip", o->strip, NULL);
	case MF_GIF:
		return vips_gifsave_buffer(in, buf, len, "effort", o->effort, "bitdepth", VIPS_MAX(bits, 1), NULL);
	case MF_HEIF:
		return vips_heifsave_buffer(in, buf, len, "Q", o->quality, "lossless", o->lossless, "effort", o->effort,
			"bitdepth", in->BandFmt == VIPS_FORMAT_USHORT ? 12 : 8, "subsample_mode", sub, "strip", o->strip, "compression",
			heic ? VIPS_FOREIGN_HEIF_COMPRESSION_HEVC : VIPS_FOREIGN_HEIF_COMPRESSION_AV1, NULL);
	case MF_TIFF:
		return vips_tiffsave_buffer(in, buf, len, "compression", VIPS_FOREIGN_TIFF_COMPRESSION_LZW, "predictor",
			VIPS_FOREIGN_TIFF_PREDICTOR_HORIZONTAL, "strip", o->strip, NULL);
	}
	vips_error("mediafn", "no saver %d", format);
	return -1;
}
