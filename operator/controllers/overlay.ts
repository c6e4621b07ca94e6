/** Lays what a user adds over the pods that the operator makes, by the rules of a strategic merge patch. Pure. */
import { type OwnContainer, overlayViolations } from '../api/overlay-rules.ts';
import type { PodOverlay } from '../api/pod-overlay.ts';
import { containerSecurityContext } from './pods.ts';
import type { Problem } from './problems.ts';

type Json = Readonly<Record<string, unknown>>;

/** How a field merges. Lists without `mergeKey` are replaced; maps always merge by key. */
export interface FieldMerge {
  /** Items of the list are told apart by this field. */
  readonly mergeKey?: string;
  /** Of the map, or of the list's items; a field that is not named merges by the defaults. */
  readonly fields?: MergeFields;
}
export type MergeFields = Readonly<Record<string, FieldMerge>>;

const CONTAINER: MergeFields = {
  env: { mergeKey: 'name' },
  ports: { mergeKey: 'containerPort' },
  volumeDevices: { mergeKey: 'devicePath' },
  volumeMounts: { mergeKey: 'mountPath' },
};

/** The merge keys of core/v1 PodSpec, which the API server publishes as x-kubernetes-patch-merge-key. */
export const POD_SPEC_MERGE: MergeFields = {
  containers: { mergeKey: 'name', fields: CONTAINER },
  ephemeralContainers: { mergeKey: 'name', fields: CONTAINER },
  hostAliases: { mergeKey: 'ip' },
  imagePullSecrets: { mergeKey: 'name' },
  initContainers: { mergeKey: 'name', fields: CONTAINER },
  resourceClaims: { mergeKey: 'name' },
  schedulingGates: { mergeKey: 'name' },
  topologySpreadConstraints: { mergeKey: 'topologyKey' },
  volumes: { mergeKey: 'name' },
};

const POD_TEMPLATE_MERGE: MergeFields = { spec: { fields: POD_SPEC_MERGE } };

/** An overlay that is no strategic merge patch: the message names the field. */
export class OverlayError extends Error {
  override readonly name = 'OverlayError';
}

/**
 * The pod template with the overlay on it, as `kubectl patch --type strategic` computes it; neither argument is changed. Two
 * things differ, both without effect on what a pod is: the result never carries null or a directive, and $setElementOrder is
 * ignored. Throws OverlayError.
 */
export function applyOverlay<T extends object>(podTemplate: T, overlay: PodOverlay | undefined): T {
  if (overlay === undefined) return podTemplate;
  return mergeMap(podTemplate as Json, overlay, POD_TEMPLATE_MERGE, 'template') as T;
}

/**
 * As applyOverlay, but what the overlay may not say is told as a problem, and so is an overlay that is no patch. Containers that
 * it adds are confined as the operator's own, as far as the Pod Security Standard `restricted` wants them to say so.
 */
export function overlaid<T extends object>(
  own: OwnContainer,
  podTemplate: T,
  overlay: PodOverlay | undefined,
): { readonly template: T } | { readonly problem: Problem } {
  const [violation] = overlayViolations(own, overlay?.spec ?? {});
  if (violation) {
    const { path, message } = violation;
    return { problem: { reason: 'ProtectedField', message: `template.spec.${path}: ${message}` } };
  }
  try {
    return { template: confined(applyOverlay(podTemplate, overlay)) };
  } catch (error) {
    if (!(error instanceof OverlayError)) throw error;
    return { problem: { reason: 'InvalidSpec', message: error.message } };
  }
}

/** A container that says nothing may gain privileges by a setuid program, and has the runtime's default capabilities. */
function confined<T extends object>(template: T): T {
  const { spec = {} } = template as { readonly spec?: Json };
  const lists = ['containers', 'initContainers'].filter((list) => Array.isArray(spec[list]));
  const entries = lists.map((list) => [list, (spec[list] as readonly Json[]).map(confinedContainer)]);
  return { ...template, spec: { ...spec, ...Object.fromEntries(entries) } };
}

function confinedContainer(container: Json): Json {
  const { securityContext } = container as { readonly securityContext?: Json };
  const { allowPrivilegeEscalation, capabilities } = containerSecurityContext;
  const given = securityContext?.['capabilities'] as Json | undefined;
  return {
    ...container,
    securityContext: {
      ...securityContext,
      allowPrivilegeEscalation,
      capabilities: { ...given, ...capabilities },
    },
  };
}

const PATCH = '$patch';
const RETAIN = '$retainKeys';
const DELETE_PRIMITIVES = '$deleteFromPrimitiveList/';

const isMap = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function mergeMap(base: Json, patch: Json, fields: MergeFields, path: string): Json {
  const directive = patch[PATCH];
  if (directive === 'replace') return cleanMap(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined) throw unknownDirective(directive, path);
  const merged: Record<string, unknown> = retained(base, patch, path);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(DELETE_PRIMITIVES)) {
      const name = key.slice(DELETE_PRIMITIVES.length);
      if (name in merged) merged[name] = withoutItems(merged[name], value, `${path}.${key}`);
    } else if (key === '__proto__') {
      // Assigned, its members would be seen as those of the map, past every rule.
      throw new OverlayError(`${path}.${key}: there is no such field`);
    } else if (!key.startsWith('$')) {
      const result = mergeValue(merged[key], value, fields[key], `${path}.${key}`);
      if (result === undefined) delete merged[key];
      else merged[key] = result;
    }
  }
  return merged;
}

function mergeValue(base: unknown, patch: unknown, field: FieldMerge | undefined, path: string): unknown {
  if (patch === null) return undefined;
  if (isMap(base) && isMap(patch)) return mergeMap(base, patch, field?.fields ?? {}, path);
  if (Array.isArray(base) && Array.isArray(patch) && field?.mergeKey !== undefined) {
    return mergeList(base, patch, { ...field, mergeKey: field.mergeKey }, path);
  }
  return clean(patch);
}

/** `$retainKeys` lists the fields that are left; it has to name those that the patch sets. */
function retained(base: Json, patch: Json, path: string): Record<string, unknown> {
  const keys = patch[RETAIN];
  if (keys === undefined) return { ...base };
  if (!Array.isArray(keys)) throw new OverlayError(`${path}.${RETAIN}: has to be a list of field names`);
  const missing = Object.keys(patch).find(
    (key) => !key.startsWith('$') && patch[key] !== null && !keys.includes(key),
  );
  if (missing !== undefined) {
    throw new OverlayError(`${path}.${RETAIN}: has to name ${missing} too, which is set beside it`);
  }
  return Object.fromEntries(Object.entries(base).filter(([key]) => keys.includes(key)));
}

function withoutItems(list: unknown, remove: unknown, path: string): unknown {
  if (!Array.isArray(remove)) throw new OverlayError(`${path}: has to be a list`);
  return Array.isArray(list) ? list.filter((item) => !remove.includes(item)) : list;
}

type KeyedField = FieldMerge & { readonly mergeKey: string };

function mergeList(base: readonly unknown[], patch: readonly unknown[], field: KeyedField, path: string) {
  const { mergeKey, fields = {} } = field;
  const items = patch.map((item, index) => listItem(item, `${path}[${index}]`));
  if (items.some((item) => item[PATCH] === 'replace')) {
    return items.filter((item) => item[PATCH] === undefined).map(cleanMap);
  }
  for (const [index, item] of items.entries()) {
    if (item[mergeKey] === undefined) {
      throw new OverlayError(`${path}[${index}]: lacks ${mergeKey}, by which items of this list are merged`);
    }
  }
  const keyOf = (item: unknown) => (isMap(item) ? item[mergeKey] : undefined);
  const deleted = items.filter((item) => item[PATCH] === 'delete').map(keyOf);
  const kept = base.filter((item) => !deleted.includes(keyOf(item)));
  const merged = [...kept];
  const added = items.filter((item) => item[PATCH] === undefined);
  for (const item of added) {
    const at = merged.findIndex((other) => keyOf(other) === keyOf(item));
    const found = merged[at];
    if (isMap(found)) merged[at] = mergeMap(found, item, fields, `${path}[${String(keyOf(item))}]`);
    else merged.push(cleanMap(item));
  }
  return inOrder(merged, added.map(keyOf), kept.map(keyOf), keyOf);
}

function listItem(item: unknown, path: string): Json {
  if (!isMap(item)) throw new OverlayError(`${path}: has to be an object`);
  const directive = item[PATCH];
  if (directive !== undefined && directive !== 'delete' && directive !== 'replace') {
    throw unknownDirective(directive, path);
  }
  return item;
}

/**
 * Items that the patch names stand in its order, the others in theirs; an item of the base goes before one of the patch
 * that it stood before already. So what is new comes first.
 */
function inOrder(
  merged: readonly unknown[],
  patchOrder: readonly unknown[],
  baseOrder: readonly unknown[],
  keyOf: (item: unknown) => unknown,
): unknown[] {
  const named = merged
    .filter((item) => patchOrder.includes(keyOf(item)))
    .sort((a, b) => patchOrder.indexOf(keyOf(a)) - patchOrder.indexOf(keyOf(b)));
  const result: unknown[] = [];
  const others = merged.filter((item) => !patchOrder.includes(keyOf(item)));
  for (const item of named) {
    const at = baseOrder.indexOf(keyOf(item));
    while (others.length > 0 && baseOrder.indexOf(keyOf(others[0])) < at) result.push(others.shift());
    result.push(item);
  }
  return [...result, ...others];
}

/** A value that meets nothing to merge with: what it says without what it takes away. */
function clean(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((item) => !(isMap(item) && PATCH in item)).map(clean);
  }
  if (!isMap(value)) return value;
  return PATCH in value ? undefined : cleanMap(value);
}

function cleanMap(map: Json): Json {
  const entries = Object.entries(map).filter(([key, value]) => !key.startsWith('$') && value !== null);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, clean(value)]).filter(([, value]) => value !== undefined),
  );
}

const unknownDirective = (directive: unknown, path: string) =>
  new OverlayError(`${path}.${PATCH}: ${JSON.stringify(directive)} is neither replace nor delete`);
