package local

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gobwas/glob"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// assetsIn gives an asset for each file under dir that the rules take in, by its path from dir with slashes.
func assetsIn(dir string, rules []string) (*map[string]*types.AssetOrArchive, error) {
	files, err := filesIn(dir, rules)
	if err != nil {
		return nil, err
	}
	assets := map[string]*types.AssetOrArchive{}
	for _, file := range files {
		asset, err := resource.NewPathAsset(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		assets[file] = &types.AssetOrArchive{Asset: asset}
	}
	return &assets, nil
}

// archiveIn gives one archive of the files under dir that the rules take in.
func archiveIn(dir string, rules []string) (*resource.Archive, error) {
	files, err := filesIn(dir, rules)
	if err != nil {
		return nil, err
	}
	assets := map[string]any{}
	for _, file := range files {
		asset, err := resource.NewPathAsset(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		assets[file] = asset
	}
	return resource.NewAssetArchive(assets)
}

type rule struct {
	pattern  glob.Glob
	excludes bool
}

// filesIn lists the files under dir for which the last rule that matches does not begin with "!". `*` stops at a slash, `**` does not.
func filesIn(dir string, texts []string) ([]string, error) {
	rules := make([]rule, len(texts))
	for i, text := range texts {
		pattern, excludes := strings.CutPrefix(text, "!")
		compiled, err := glob.Compile(pattern, '/')
		if err != nil {
			return nil, fmt.Errorf("the path pattern %q cannot be read: %w", text, err)
		}
		rules[i] = rule{compiled, excludes}
	}
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		taken := false
		for _, one := range rules {
			if one.pattern.Match(file) {
				taken = !one.excludes
			}
		}
		if taken {
			files = append(files, file)
		}
		return nil
	})
	return files, err
}
