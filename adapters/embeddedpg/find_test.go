package embeddedpg_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
)

func TestFind(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	_, err := embeddedpg.Find(dir)
	require.ErrorIs(t, err, embeddedpg.ErrDataDir, "there is nothing yet")
	require.NoDirExists(t, dir, "and it makes nothing")
	_, err = embeddedpg.Find("")
	require.ErrorIs(t, err, embeddedpg.ErrDataDir)

	s := start(t, embeddedpg.Config{DataDir: dir})
	url, err := embeddedpg.Find(dir)
	require.NoError(t, err)
	require.Equal(t, s.URL(), url)
	require.Equal(t, "1", one(t, url, "select '1'"))

	require.NoError(t, stop(s))
	url, err = embeddedpg.Find(dir)
	require.NoError(t, err)
	require.Empty(t, url, "it does not run")
}
