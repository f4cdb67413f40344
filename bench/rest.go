package main
import "context"
const bareCommand="x"
func bareServer([]string){}
func nullBurst(ctx context.Context, r *run) error {return nil}
func apiLoad(ctx context.Context, r *run) error {return nil}
func decisions(ctx context.Context, r *run) error {return nil}
func auditLog(ctx context.Context, r *run) error {return nil}
func starting(ctx context.Context, r *run) error {return nil}
