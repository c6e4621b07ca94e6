/** The layer of a `config.yaml`: nested keys in camelCase, see keys.ts. */
import {
  type Document,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from 'yaml';
import { keyOf, nearest, variableOf } from './keys.ts';
import type { Layer, Setting } from './settings.ts';

interface Entry {
  readonly keys: readonly string[];
  readonly key: unknown;
  readonly value: unknown;
}

/**
 * A list may be written as one, and a mapping stands for `name=value` pairs; null counts as absent.
 * @param names all variables that a file may set: any other key is a problem
 * @param structured those among them whose value is JSON: a collection of any depth stands for it
 */
export function yamlFileLayer(
  path: string,
  text: string,
  names: readonly string[],
  structured: ReadonlySet<string> = new Set(),
): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const { contents, errors } = document;
  const broken = errors.map(({ message }) => `${path}: ${message.split('\n', 1)[0]}`);
  if (broken.length > 0 || contents === null) return { settings: new Map(), problems: broken };
  if (!isMap(contents))
    return { settings: new Map(), problems: [`${path}: is not a mapping of settings to values`] };

  const settings = new Map<string, Setting>();
  const problems: string[] = [];
  for (const { keys, key, value } of contents.items.flatMap((pair) => entriesOf(pair, [], names))) {
    const variable = variableOf(keys);
    const place = `${path}, line ${lines.linePos((key as Node).range?.[0] ?? 0).line}`;
    const setting = structured.has(variable) ? jsonOf(value, document) : textOf(value);
    const problem = problemOf(variable, setting, { names, settings });
    if (problem !== undefined) problems.push(`${place}: ${keys.join('.')} ${problem}`);
    else if (setting !== '') settings.set(variable, { value: setting ?? '', place });
  }
  return { settings, problems };
}

/** The pair itself, or those below it where it is a section. */
function entriesOf({ key, value }: Pair, parents: readonly string[], names: readonly string[]): Entry[] {
  const keys = [...parents, isScalar(key) ? String(key.value) : String(key)];
  const variable = variableOf(keys);
  const isSection = !names.includes(variable) && names.some((name) => name.startsWith(`${variable}_`));
  return isSection && isMap(value)
    ? value.items.flatMap((pair) => entriesOf(pair, keys, names))
    : [{ keys, key, value }];
}

function problemOf(
  variable: string,
  text: string | undefined,
  known: { readonly names: readonly string[]; readonly settings: ReadonlyMap<string, Setting> },
): string | undefined {
  if (!known.names.includes(variable)) {
    const similar = nearest(variable, known.names);
    return `is not a setting${similar === undefined ? '' : `; the nearest is ${keyOf(similar)}`}`;
  }
  const earlier = known.settings.get(variable)?.place;
  if (earlier !== undefined) return `sets ${variable} again, after ${earlier}; keep one`;
  return text === undefined ? 'is nested deeper than a value can be' : undefined;
}

/** A scalar is JSON already. */
function jsonOf(node: unknown, document: Document): string | undefined {
  return isCollection(node) ? JSON.stringify(node.toJS(document)) : textOf(node);
}

/** As the environment would have it; undefined for collections in collections. */
function textOf(node: unknown): string | undefined {
  if (node === null) return '';
  if (isScalar(node)) return scalarText(node.value);
  const items = isSeq(node)
    ? node.items.map(scalarOnly)
    : isMap(node)
      ? node.items.map(pairText)
      : [undefined];
  if (!items.every((item) => item !== undefined)) return undefined;
  return isSeq(node) && items.some((item) => item.includes(',')) ? JSON.stringify(items) : items.join(',');
}

function scalarOnly(node: unknown): string | undefined {
  return isScalar(node) ? scalarText(node.value) : undefined;
}

function pairText({ key, value }: Pair): string | undefined {
  return isScalar(key) && isScalar(value) ? `${scalarText(key.value)}=${scalarText(value.value)}` : undefined;
}

function scalarText(value: unknown): string {
  return value === null ? '' : String(value);
}
