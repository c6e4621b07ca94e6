// Command s3 serves the folders of a directory as buckets through Versity's S3 gateway, which checks signatures.
// The root account's keys come from ROOT_ACCESS_KEY_ID and ROOT_SECRET_ACCESS_KEY.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	root := flag.String("root", "", "directory whose folders are the buckets")
	attributes := flag.String("attributes", "", "directory for what the file system cannot say of an object")
	listen := flag.String("listen", "", "HOST:PORT")
	region := flag.String("region", "", "region that signatures have to name")
	flag.Parse()
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx, *root, *attributes, *listen, *region); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, root, attributes, listen, region string) error {
	sidecar, err := meta.NewSideCar(attributes)
	if err != nil {
		return err
	}
	store, err := posix.New(root, sidecar, posix.PosixOpts{SideCarDir: attributes})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, store, &embedgw.Config{
		RootUserAccess:    os.Getenv("ROOT_ACCESS_KEY_ID"),
		RootUserSecret:    os.Getenv("ROOT_SECRET_ACCESS_KEY"),
		Region:            region,
		Ports:             []string{listen},
		MaxConnections:    256,
		MaxRequests:       256,
		MultipartMaxParts: 10_000,
		KeepAlive:         true,
		Quiet:             true,
	})
}
