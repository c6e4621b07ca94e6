package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// variantLabel says on a ModelDeployment which of the templates its children follow.
const variantLabel = "bench.deepfake-operator.io/variant"

// templates are, by variant, the JSON of children in the order in which they are made. Placeholders stand for what differs
// between owners of one variant.
type templates map[string][]json.RawMessage

func readTemplates(path string) (templates, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := templates{}
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}

func (t templates) childrenOf(owner *unstructured.Unstructured, digest string) ([]*unstructured.Unstructured, error) {
	variant := owner.GetLabels()[variantLabel]
	texts, found := t[variant]
	if !found {
		return nil, fmt.Errorf("no children are known for variant %q", variant)
	}
	fill := strings.NewReplacer("{{name}}", owner.GetName(), "{{namespace}}", owner.GetNamespace(),
		"{{uid}}", string(owner.GetUID()), "{{model}}", strings.Join(modelNames(owner), ","), "{{digest}}", digest)
	children := make([]*unstructured.Unstructured, 0, len(texts))
	for _, text := range texts {
		filled := fill.Replace(string(text))
		hash := shortHash([]byte(filled))
		child := &unstructured.Unstructured{}
		hashed := strings.NewReplacer("{{revision}}", hash, "{{hash}}", hash).Replace(filled)
		if err := child.UnmarshalJSON([]byte(hashed)); err != nil {
			return nil, fmt.Errorf("a child of variant %q: %w", variant, err)
		}
		children = append(children, child)
	}
	return children, nil
}
