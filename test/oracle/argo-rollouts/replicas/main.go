// Argo-rollouts' own arithmetic of replicas as a filter: a JSON object a line in, a JSON object a line out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/replicaset"
)

type pods struct {
	Desired   int32 `json:"desired"`
	Available int32 `json:"available"`
}

type canaryScale struct {
	Replicas           *int32 `json:"replicas"`
	Weight             *int32 `json:"weight"`
	MatchTrafficWeight bool   `json:"matchTrafficWeight"`
}

type weights struct {
	Stable int32 `json:"stable"`
	Canary int32 `json:"canary"`
}

type question struct {
	Replicas           int32               `json:"replicas"`
	Weight             int32               `json:"weight"`
	MaxSurge           *intstr.IntOrString `json:"maxSurge"`
	MaxUnavailable     *intstr.IntOrString `json:"maxUnavailable"`
	Canary             *pods               `json:"canary"`
	Stable             *pods               `json:"stable"`
	Others             []pods              `json:"others"`
	TrafficRouted      bool                `json:"trafficRouted"`
	DynamicStableScale bool                `json:"dynamicStableScale"`
	SetCanaryScale     *canaryScale        `json:"setCanaryScale"`
	Weights            *weights            `json:"weights"`
	Abort              bool                `json:"abort"`
	PromoteFull        bool                `json:"promoteFull"`
}

type answer struct {
	Canary         int32 `json:"canary"`
	Stable         int32 `json:"stable"`
	MaxSurge       int32 `json:"maxSurge"`
	MaxUnavailable int32 `json:"maxUnavailable"`
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	encoder := json.NewEncoder(output)
	for input.Scan() {
		var asked question
		if err := json.Unmarshal(input.Bytes(), &asked); err != nil {
			fail(err)
		}
		if err := encoder.Encode(count(asked)); err != nil {
			fail(err)
		}
	}
	if err := input.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// count has the steps stand at a pause behind the weight and the scale that are asked for.
func count(asked question) answer {
	canary := v1alpha1.CanaryStrategy{
		MaxSurge:           asked.MaxSurge,
		MaxUnavailable:     asked.MaxUnavailable,
		DynamicStableScale: asked.DynamicStableScale,
		Steps:              []v1alpha1.CanaryStep{{SetWeight: &asked.Weight}},
	}
	if asked.TrafficRouted {
		canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{}
	}
	if scale := asked.SetCanaryScale; scale != nil {
		canary.Steps = append(canary.Steps, v1alpha1.CanaryStep{SetCanaryScale: &v1alpha1.SetCanaryScale{
			Replicas: scale.Replicas, Weight: scale.Weight, MatchTrafficWeight: scale.MatchTrafficWeight,
		}})
	}
	index := int32(len(canary.Steps))
	canary.Steps = append(canary.Steps, v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{}})
	rollout := &v1alpha1.Rollout{
		Spec: v1alpha1.RolloutSpec{
			Replicas: &asked.Replicas,
			Strategy: v1alpha1.RolloutStrategy{Canary: &canary},
		},
		Status: v1alpha1.RolloutStatus{
			CurrentPodHash:   "canary",
			StableRS:         "stable",
			CurrentStepIndex: &index,
			Abort:            asked.Abort,
			PromoteFull:      asked.PromoteFull,
		},
	}
	if asked.Stable == nil {
		rollout.Status.StableRS = ""
	}
	var others []*appsv1.ReplicaSet
	for at, other := range asked.Others {
		others = append(others, replicaSet(fmt.Sprintf("other-%d", at), &other))
	}
	newRS, stableRS := replicaSet("canary", asked.Canary), replicaSet("stable", asked.Stable)
	answered := answer{
		MaxSurge:       replicaset.MaxSurge(rollout),
		MaxUnavailable: replicaset.MaxUnavailable(rollout),
	}
	if asked.TrafficRouted {
		answered.Canary, answered.Stable = replicaset.CalculateReplicaCountsForTrafficRoutedCanary(
			rollout, newRS, stableRS, trafficWeights(asked.Weights))
	} else {
		answered.Canary, answered.Stable = replicaset.CalculateReplicaCountsForBasicCanary(
			rollout, newRS, stableRS, others)
	}
	return answered
}

func replicaSet(name string, counted *pods) *appsv1.ReplicaSet {
	if counted == nil {
		return nil
	}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &counted.Desired},
		Status:     appsv1.ReplicaSetStatus{Replicas: counted.Desired, AvailableReplicas: counted.Available},
	}
}

func trafficWeights(given *weights) *v1alpha1.TrafficWeights {
	if given == nil {
		return nil
	}
	return &v1alpha1.TrafficWeights{
		Stable: v1alpha1.WeightDestination{Weight: given.Stable},
		Canary: v1alpha1.WeightDestination{Weight: given.Canary},
	}
}
