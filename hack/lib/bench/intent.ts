/** Reads off a live object what one field manager has applied, and makes a template of it. Pure. */
import { APPLIED_HASH_ANNOTATION, LABEL } from '../../../operator/api/names.ts';
import type { KubeObject } from '../../../operator/runtime/object.ts';

type FieldSet = Readonly<Record<string, unknown>>;

/** The object as `manager` applied it: its fields, with the values that they have now. */
export function appliedBy(live: KubeObject, manager: string): KubeObject {
  const entry = live.metadata.managedFields?.find(
    (fields) => fields.manager === manager && fields.operation === 'Apply' && !fields.subresource,
  );
  if (!entry) throw new Error(`${live.kind} ${live.metadata.name} was not applied by ${manager}`);
  const { apiVersion, kind } = live;
  const owned = ownedPart(live, entry.fieldsV1 as FieldSet) as KubeObject;
  const { name, namespace } = live.metadata;
  const metadata = { ...owned.metadata, name, ...(namespace === undefined ? {} : { namespace }) };
  return { apiVersion, kind, ...owned, metadata } as KubeObject;
}

/** The part of a value that a FieldsV1 set names: `f:` a field, `k:` an item by its keys, `v:` an item by its value. */
export function ownedPart(value: unknown, fields: FieldSet): unknown {
  const parts = Object.entries(fields).filter(([key]) => key !== '.') as [string, FieldSet][];
  if (parts.length === 0) return '.' in fields && !Array.isArray(value) ? {} : value;
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      const part = parts.find(([key]) => isItem(key, item));
      return part === undefined ? [] : [ownedPart(item, part[1])];
    });
  }
  const object = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    parts.map(([key, inner]) => [key.slice(2), ownedPart(object[key.slice(2)], inner)]),
  );
}

function isItem(key: string, item: unknown): boolean {
  const wanted: unknown = JSON.parse(key.slice(2));
  if (key.startsWith('v:')) return item === wanted;
  const fields = item as Readonly<Record<string, unknown>>;
  return Object.entries(wanted as object).every(([name, value]) => fields[name] === value);
}

export interface Subject {
  readonly name: string;
  readonly uid: string;
  readonly model: string;
  /** `sha256:…` of the model. */
  readonly digest: string;
}

/** Puts placeholders where children of another ModelDeployment of the same variant differ. */
export function templateOf(child: KubeObject, { name, uid, model, digest }: Subject): KubeObject {
  const revision =
    child.metadata.labels?.[LABEL.revision] ??
    (child as { spec?: { template?: KubeObject } }).spec?.template?.metadata.labels?.[LABEL.revision];
  const hash = child.metadata.annotations?.[APPLIED_HASH_ANNOTATION];
  const [, hex = ''] = digest.split(':');
  const placeholders: [string | undefined, string][] = [
    [uid, '{{uid}}'],
    [name, '{{name}}'],
    [model, '{{model}}'],
    [hex, '{{digest}}'],
    [revision, '{{revision}}'],
    [hash, '{{hash}}'],
  ];
  let text = JSON.stringify(child);
  for (const [found, placeholder] of placeholders) {
    if (found) text = text.replaceAll(found, placeholder);
  }
  return JSON.parse(text) as KubeObject;
}
