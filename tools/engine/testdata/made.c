// Makes the inputs of TestColourSpacesAndMetadata in the folder it is given:
// 64x32 pixels of sRGB (200, 60, 30) in other colour spaces, and with EXIF.
#include <stdio.h>
#include <string.h>
#include <vips/vips.h>

static const char *dir;

static void save(VipsImage *im, const char *name, const char *options) {
	char path[1000];
	snprintf(path, sizeof path, "%s/%s%s", dir, name, options);
	if (vips_image_write_to_file(im, path, NULL))
		vips_error_exit("%s", name);
}

int main(int argc, char **argv) {
	double colour[] = {200, 60, 30};
	VipsImage *black, *filled, *im, *out;
	if (argc != 2 || VIPS_INIT(argv[0]))
		return 1;
	dir = argv[1];
	if (vips_black(&black, 64, 32, "bands", 3, NULL))
		vips_error_exit(NULL);
	double one[] = {1, 1, 1};
	if (vips_linear(black, &filled, one, colour, 3, "uchar", TRUE, NULL) ||
		vips_copy(filled, &im, "interpretation", VIPS_INTERPRETATION_sRGB, NULL))
		vips_error_exit(NULL);

	if (vips_icc_transform(im, &out, "cmyk", "input_profile", "srgb", NULL))
		vips_error_exit("cmyk");
	save(out, "cmyk.jpg", "[Q=98]");
	save(out, "cmyk-bare.jpg", "[Q=98,strip]");
	g_object_unref(out);
	if (vips_icc_transform(im, &out, "p3", "input_profile", "srgb", NULL))
		vips_error_exit("p3");
	save(out, "p3.png", "");
	g_object_unref(out);

	vips_image_set_string(im, "exif-ifd0-Copyright", "someone (someone, ASCII, 8 components, 8 bytes)");
	vips_image_set_string(im, "exif-ifd0-Artist", "somebody (somebody, ASCII, 9 components, 9 bytes)");
	vips_image_set_string(im, "exif-ifd0-Make", "maker (maker, ASCII, 6 components, 6 bytes)");
	vips_image_set_int(im, VIPS_META_ORIENTATION, 6);
	save(im, "tagged.jpg", "");
	return 0;
}
