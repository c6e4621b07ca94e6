/** Claims as pods mount them: which volume, and onto which nodes that leads the pods. Pure. */
import type { V1Affinity, V1PodAffinity, V1PodAffinityTerm, V1Volume } from '@kubernetes/client-node';
import { GROUP } from '../api/names.ts';
import { hashOf } from '../runtime/apply.ts';

/** How pods may share a volume: on one node, on any, or on any once it has been written. */
const ACCESS_MODES = ['ReadWriteOnce', 'ReadWriteMany', 'ReadOnlyMany'] as const;
export type AccessMode = (typeof ACCESS_MODES)[number];

export const accessModeOf = (text: string | undefined): AccessMode | undefined =>
  ACCESS_MODES.find((mode) => mode === text);

/** A claim that a pod mounts. */
export interface MountedClaim {
  readonly claimName: string;
  /** undefined: not known, so the strictest. */
  readonly accessMode?: AccessMode | undefined;
  readonly readOnly?: boolean | undefined;
}

export interface ClaimPlacement {
  /** For the pods, beside their own. */
  readonly labels: Readonly<Record<string, string>>;
  readonly affinity?: V1Affinity;
}

const LABEL_VALUE_MAX = 63;

const CLAIM_LABEL = `${GROUP}/claim-`;
const claimLabel = (claimName: string) => `${CLAIM_LABEL}${hashOf(claimName)}`;

/** Whether a pod with these labels has to be where others of its claim are. */
export const isTiedByClaim = (labels: Readonly<Record<string, string>> = {}) =>
  Object.keys(labels).some((key) => key.startsWith(CLAIM_LABEL));

/**
 * Keeps all pods that mount a ReadWriteOnce claim on one node: they carry a label of the claim and require a node where such
 * a pod runs; the scheduler lets the first one of them anywhere. A pod of several such claims requires pods that mount all of
 * them, for that is how the scheduler reads several terms; beside pods that mount some of them it is only preferred.
 */
export function claimPlacement(claims: readonly MountedClaim[]): ClaimPlacement {
  const tied = claims.filter(({ accessMode = 'ReadWriteOnce' }) => accessMode === 'ReadWriteOnce');
  const names = [...new Set(tied.map(({ claimName }) => claimName))].sort();
  const labels = Object.fromEntries(
    names.map((name) => [claimLabel(name), name.length > LABEL_VALUE_MAX ? hashOf(name) : name]),
  );
  const terms = Object.entries(labels).map(
    ([key, value]): V1PodAffinityTerm => ({
      labelSelector: { matchLabels: { [key]: value } },
      topologyKey: 'kubernetes.io/hostname',
    }),
  );
  if (terms.length === 0) return { labels };
  const podAffinity = {
    requiredDuringSchedulingIgnoredDuringExecution: terms,
    ...(terms.length === 1
      ? {}
      : {
          preferredDuringSchedulingIgnoredDuringExecution: terms.map((podAffinityTerm) => ({
            weight: 100,
            podAffinityTerm,
          })),
        }),
  };
  return { labels, affinity: { podAffinity } };
}

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: object & { readonly affinity?: V1Affinity };
}

/** The template with the placement added to whatever labels and affinity it has, those of an overlay for example. */
export function placeByClaims<T extends PodTemplate>(template: T, claims: readonly MountedClaim[]): T {
  const { labels, affinity } = claimPlacement(claims);
  if (!affinity) return template;
  const { metadata, spec } = template;
  const own = spec.affinity?.podAffinity;
  const added = affinity.podAffinity;
  const join = <Field extends keyof V1PodAffinity>(field: Field) => {
    const terms = [...(own?.[field] ?? []), ...(added?.[field] ?? [])];
    return terms.length === 0 ? {} : { [field]: terms };
  };
  const podAffinity = {
    ...own,
    ...join('requiredDuringSchedulingIgnoredDuringExecution'),
    ...join('preferredDuringSchedulingIgnoredDuringExecution'),
  };
  return {
    ...template,
    metadata: { ...metadata, labels: { ...metadata.labels, ...labels } },
    spec: { ...spec, affinity: { ...spec.affinity, podAffinity } },
  };
}

/** Whether pods have to leave the claim as it is: it is the user's, or nodes share it only unwritten. */
const isReadOnly = ({ accessMode, readOnly = false }: MountedClaim) =>
  readOnly || accessMode === 'ReadOnlyMany';

export function claimVolume(name: string, claim: MountedClaim): V1Volume {
  const { claimName } = claim;
  return {
    name,
    persistentVolumeClaim: { claimName, ...(isReadOnly(claim) ? { readOnly: true } : {}) },
  };
}
