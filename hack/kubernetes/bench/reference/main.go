// Command reference is what `hack/bench operator` compares the operator with: a small controller on controller-runtime that
// makes the same children of the same ModelDeployments, with the same watches and the same number of workers.
//
// The children come from a file of templates that the bench reads off a cluster on which the operator has run, so both write
// the same fields. Like the operator it compares before it writes, and writes by server-side apply only.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	group           = "deepfake-operator.io"
	fieldManager    = client.FieldOwner("reference-controller")
	deploymentLabel = group + "/model-deployment"
	managedByLabel  = "app.kubernetes.io/managed-by"
	managedBy       = "deepfake-operator"
	byModel         = "by-model"
)

func customKind(kind string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: "v1alpha1", Kind: kind})
	return object
}

type reconciler struct {
	client.Client
	scheme    *runtime.Scheme
	templates templates
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	owner := customKind("ModelDeployment")
	if err := r.Get(ctx, request.NamespacedName, owner); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if owner.GetDeletionTimestamp() != nil {
		return ctrl.Result{}, nil
	}
	digest, err := r.digestOf(ctx, owner)
	if err != nil || digest == "" {
		return ctrl.Result{}, err
	}
	children, err := r.templates.childrenOf(owner, digest)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	var deployment appsv1.Deployment
	for _, child := range children {
		live, err := r.ensure(ctx, owner, child)
		if err != nil {
			return ctrl.Result{}, err
		}
		if found, ok := live.(*appsv1.Deployment); ok {
			deployment = *found
		}
	}
	return ctrl.Result{}, r.writeStatus(ctx, owner, &deployment)
}

// digestOf is empty while the model is not ready.
func (r *reconciler) digestOf(ctx context.Context, owner *unstructured.Unstructured) (string, error) {
	model := customKind("DeepfakeModel")
	names := modelNames(owner)
	if len(names) == 0 {
		return "", nil
	}
	key := types.NamespacedName{Namespace: owner.GetNamespace(), Name: names[0]}
	if err := r.Get(ctx, key, model); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	digest, _, err := unstructured.NestedString(model.Object, "status", "digest")
	return digest, err
}

// ensure makes one child what it should be, and returns what the cache knew of it.
func (r *reconciler) ensure(ctx context.Context, owner, desired *unstructured.Unstructured) (client.Object, error) {
	if desired.GetKind() == "Secret" {
		return nil, r.ensureSecret(ctx, owner, desired)
	}
	made, err := r.scheme.New(desired.GroupVersionKind())
	if err != nil {
		return nil, reconcile.TerminalError(err)
	}
	live := made.(client.Object)
	err = r.Get(ctx, client.ObjectKeyFromObject(desired), live)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err == nil {
		if !metav1.IsControlledBy(live, owner) {
			return nil, reconcile.TerminalError(fmt.Errorf("%s %s is somebody else's", desired.GetKind(), desired.GetName()))
		}
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
		if err != nil {
			return nil, err
		}
		if covers(fields, desired.Object) {
			return live, nil
		}
	}
	return live, r.Apply(ctx, client.ApplyConfigurationFromUnstructured(desired), fieldManager, client.ForceOwnership)
}

// covers compares plain maps, since what a map lacks is unset; of a struct, zero and false count as said.
func covers(live, desired map[string]any) bool {
	return equality.Semantic.DeepDerivative(desired["metadata"], live["metadata"]) &&
		equality.Semantic.DeepDerivative(desired["spec"], live["spec"])
}

// ensureSecret creates only, before the first pods are made.
func (r *reconciler) ensureSecret(ctx context.Context, owner, desired *unstructured.Unstructured) error {
	var deployment appsv1.Deployment
	key := types.NamespacedName{Namespace: owner.GetNamespace(), Name: owner.GetName() + "-stable"}
	if err := r.Get(ctx, key, &deployment); !apierrors.IsNotFound(err) {
		return err
	}
	if err := r.Create(ctx, desired.DeepCopy()); !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func (r *reconciler) writeStatus(ctx context.Context, owner *unstructured.Unstructured, deployment *appsv1.Deployment) error {
	status := statusOf(owner, deployment)
	before, _, _ := unstructured.NestedMap(owner.Object, "status")
	if equality.Semantic.DeepEqual(before, status) {
		return nil
	}
	applied := customKind("ModelDeployment")
	applied.SetName(owner.GetName())
	applied.SetNamespace(owner.GetNamespace())
	applied.Object["status"] = status
	configuration := client.ApplyConfigurationFromUnstructured(applied)
	err := r.Status().Apply(ctx, configuration, fieldManager, client.ForceOwnership)
	return client.IgnoreNotFound(err)
}

func statusOf(owner *unstructured.Unstructured, deployment *appsv1.Deployment) map[string]any {
	wanted := int32(1)
	if deployment.Spec.Replicas != nil {
		wanted = *deployment.Spec.Replicas
	}
	counts := deployment.Status
	observed := counts.ObservedGeneration >= deployment.Generation
	serving := observed && counts.AvailableReplicas >= wanted && deployment.Name != ""
	complete := serving && counts.UpdatedReplicas == wanted && counts.Replicas == wanted
	available := condition("Available", serving, "PodsAvailable", "PodsUnavailable",
		fmt.Sprintf("%d of %d pods are available", counts.AvailableReplicas, wanted))
	ready := condition("Ready", complete, "Ready", "RollingOut",
		fmt.Sprintf("%d of %d pods updated", counts.UpdatedReplicas, wanted))
	phase := "Progressing"
	if complete {
		phase = "Healthy"
	}
	conditions := []any{available, ready}
	keepTransitionTimes(owner, conditions)
	return map[string]any{
		"observedGeneration": owner.GetGeneration(),
		"phase":              phase,
		"message":            ready["message"],
		"replicas":           int64(counts.Replicas),
		"readyReplicas":      int64(counts.ReadyReplicas),
		"availableReplicas":  int64(counts.AvailableReplicas),
		"updatedReplicas":    int64(counts.UpdatedReplicas),
		"selector":           deploymentLabel + "=" + owner.GetName(),
		"conditions":         conditions,
	}
}

func condition(kind string, holds bool, yes, no, message string) map[string]any {
	status, reason := "False", no
	if holds {
		status, reason = "True", yes
	}
	return map[string]any{"type": kind, "status": status, "reason": reason, "message": message,
		"lastTransitionTime": time.Now().UTC().Format(time.RFC3339)}
}

func keepTransitionTimes(owner *unstructured.Unstructured, conditions []any) {
	before, _, _ := unstructured.NestedSlice(owner.Object, "status", "conditions")
	for _, old := range before {
		for _, now := range conditions {
			old, now := old.(map[string]any), now.(map[string]any)
			if old["type"] == now["type"] && old["status"] == now["status"] {
				now["lastTransitionTime"] = old["lastTransitionTime"]
			}
		}
	}
}

func modelNames(owner client.Object) []string {
	models, _, _ := unstructured.NestedSlice(owner.(*unstructured.Unstructured).Object, "spec", "models")
	names := []string{}
	for _, model := range models {
		if fields, ok := model.(map[string]any); ok {
			names = append(names, fmt.Sprint(fields["name"]))
		}
	}
	return names
}

func (r *reconciler) setup(ctx context.Context, manager ctrl.Manager, workers int) error {
	deployments := customKind("ModelDeployment")
	if err := manager.GetFieldIndexer().IndexField(ctx, deployments, byModel, modelNames); err != nil {
		return err
	}
	ofModel := func(ctx context.Context, model client.Object) []ctrl.Request {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(deployments.GroupVersionKind().GroupVersion().WithKind("ModelDeploymentList"))
		err := r.List(ctx, list, client.InNamespace(model.GetNamespace()), client.MatchingFields{byModel: model.GetName()})
		requests := []ctrl.Request{}
		for index := range list.Items {
			if err == nil {
				requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[index])})
			}
		}
		return requests
	}
	ofPod := func(_ context.Context, pod client.Object) []ctrl.Request {
		name, found := pod.GetLabels()[deploymentLabel]
		if !found {
			return nil
		}
		return []ctrl.Request{{NamespacedName: types.NamespacedName{Namespace: pod.GetNamespace(), Name: name}}}
	}
	// The operator keeps these too; here nothing is made of them.
	for _, kind := range []client.Object{&corev1.PersistentVolumeClaim{}, &batchv1.Job{}} {
		if _, err := manager.GetCache().GetInformer(ctx, kind); err != nil {
			return err
		}
	}
	return ctrl.NewControllerManagedBy(manager).
		Named("modeldeployment").
		For(deployments).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&autoscalingv2.HorizontalPodAutoscaler{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Watches(customKind("DeepfakeModel"), handler.EnqueueRequestsFromMapFunc(ofModel)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(ofPod)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

func run() error {
	// controller-runtime puts flags of its own into the common set.
	flags := flag.NewFlagSet("reference", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig file")
	children := flags.String("children", "", "file with templates of the children, by variant")
	metrics := flags.String("metrics", "127.0.0.1:0", "address of /metrics")
	health := flags.String("health", "127.0.0.1:0", "address of /readyz")
	workers := flags.Int("workers", 4, "keys worked at a time")
	leaseNamespace := flags.String("lease-namespace", "default", "namespace of the Lease")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	ctrl.SetLogger(zap.New())
	read, err := readTemplates(*children)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	// The operator has no limit of its own either: the API server's fairness is the limit.
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	managed := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{managedByLabel: managedBy})}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}: managed, &corev1.Service{}: managed, &corev1.Pod{}: managed, &batchv1.Job{}: managed,
			&autoscalingv2.HorizontalPodAutoscaler{}: managed, &policyv1.PodDisruptionBudget{}: managed,
			&corev1.PersistentVolumeClaim{}: managed,
		}},
		Client:                        client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics:                       metricsserver.Options{BindAddress: *metrics},
		HealthProbeBindAddress:        *health,
		LeaderElection:                true,
		LeaderElectionID:              "reference-controller",
		LeaderElectionNamespace:       *leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	synced := func(request *http.Request) error {
		soon, cancel := context.WithTimeout(request.Context(), 20*time.Millisecond)
		defer cancel()
		if !manager.GetCache().WaitForCacheSync(soon) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
	if err := manager.AddReadyzCheck("caches", synced); err != nil {
		return err
	}
	r := &reconciler{Client: manager.GetClient(), scheme: scheme, templates: read}
	if err := r.setup(ctx, manager, *workers); err != nil {
		return err
	}
	return manager.Start(ctx)
}

func shortHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:10]
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}
