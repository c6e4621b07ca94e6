/** Objects in YAML, and where in the text each part of them stands. Pure. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseAllDocuments,
} from 'yaml';
import { messageOf } from '../../../runtime/errors.ts';
import type { Path } from './finding.ts';

export interface Place {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export interface Manifest {
  readonly object: Readonly<Record<string, unknown>>;
  /** Where a part of the object stands; of one that is not there, where its parent does. */
  placeOf(path: Path): Place;
}

export interface SyntaxProblem {
  readonly place: Place;
  readonly message: string;
}

export interface Manifests {
  readonly manifests: readonly Manifest[];
  readonly problems: readonly SyntaxProblem[];
}

/** Every object of a text, those of a List one by one. JSON is YAML. */
export function manifestsIn(text: string): Manifests {
  const lines = new LineCounter();
  const manifests: Manifest[] = [];
  const problems: SyntaxProblem[] = [];
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  // Keys to merge and a limit of aliases, as kubectl's own reader has them.
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    logLevel: 'error',
  });
  for (const document of Array.isArray(documents) ? documents : []) {
    for (const { pos, message } of document.errors) problems.push({ place: at(pos[0]), message });
    const root = document.contents;
    if (document.errors.length > 0 || root === null || (isScalar(root) && root.value === null)) continue;
    const [start] = root.range;
    const { object, message } = objectOf(() => document.toJS({ maxAliasCount: 100 }));
    if (!object) {
      problems.push({ place: at(start), message });
      continue;
    }
    const locate = (path: Path) =>
      at(offsetOf(root, path, (node) => (isAlias(node) ? node.resolve(document) : node)));
    manifests.push(...unpacked(object, locate));
  }
  return { manifests, problems };
}

function unpacked(object: Readonly<Record<string, unknown>>, placeOf: Manifest['placeOf']): Manifest[] {
  const { kind, items } = object;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items))
    return [{ object, placeOf }];
  return items.flatMap((item, index) =>
    isObject(item) ? unpacked(item, (path) => placeOf(['items', index, ...path])) : [],
  );
}

type Read =
  | { readonly object: Readonly<Record<string, unknown>>; readonly message?: never }
  | { readonly object: undefined; readonly message: string };

function objectOf(read: () => unknown): Read {
  try {
    const object = read();
    if (isObject(object)) return { object };
    return { object: undefined, message: 'not an object: it has no apiVersion and kind' };
  } catch (error) {
    return { object: undefined, message: messageOf(error) };
  }
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Of a member its key, of an item its beginning; as deep as the text goes. */
function offsetOf(
  root: ParsedNode,
  path: Path,
  resolve: (node: Node | null) => Node | null | undefined,
): number {
  let node: Node | null | undefined = root;
  let offset = root.range[0];
  for (const part of path) {
    node = resolve(node ?? null);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(part));
      if (!pair) return offset;
      offset = beginOf(pair.key) ?? offset;
      node = pair.value as Node | null;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part] as Node | undefined;
      offset = beginOf(node) ?? offset;
    } else return offset;
  }
  return offset;
}

const beginOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];
