package flows

import "testing"

func TestFlowsCompile(t *testing.T) {
	book, err := Book()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"single", "video.sliced"} {
		if book.Get(name) == nil {
			t.Errorf("flow %s is missing", name)
		}
	}
}
