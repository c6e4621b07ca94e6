/** The text of a `model.yaml` with further golden files: what was there stays as it is, byte for byte. Pure. */
import { isMap, isNode, isScalar, isSeq, type Pair, parseDocument, stringify, type YAMLSeq } from 'yaml';
import type { Manifest } from '../../models/manifest.ts';

export type GoldenFile = Manifest['golden'][number];

/** @throws Error, one line: not YAML, or without a list called `golden` */
export function withGoldenFiles(source: string, added: readonly GoldenFile[]): string {
  const { contents, errors } = parseDocument(source);
  if (errors[0] !== undefined) throw new Error(`not YAML: ${errors[0].message.split('\n', 1)[0]}`);
  const list = isMap(contents) ? contents.items.find(isGolden)?.value : undefined;
  if (!isMap(contents) || !isSeq(list))
    throw new Error('there is no list called golden; write `golden: []` into it');
  if (list.flow !== true) return withLines(source, list, added);
  return list.items.length === 0 && contents.flow !== true
    ? withFirstLines(source, list, added)
    : withinBrackets(source, list, added);
}

function isGolden({ key }: Pair): boolean {
  return isScalar(key) && key.value === 'golden';
}

function withinBrackets(source: string, list: YAMLSeq, added: readonly GoldenFile[]): string {
  const before = source.slice(0, endOf(list) - 1).trimEnd();
  const items = added.map((entry) => JSON.stringify(entry)).join(', ');
  return `${before}${list.items.length === 0 ? '' : ', '}${items}${source.slice(endOf(list) - 1)}`;
}

function withFirstLines(source: string, list: YAMLSeq, added: readonly GoldenFile[]): string {
  const before = source.slice(0, list.range?.[0]).trimEnd();
  return `${before}\n${linesOf(added, '  ')}${source.slice(endOf(list))}`;
}

/** Behind the line of the last item, before what comments follow it. */
function withLines(source: string, list: YAMLSeq, added: readonly GoldenFile[]): string {
  const last = list.items.at(-1);
  const lineEnd = source.indexOf('\n', endOf(last));
  const end = lineEnd < 0 ? source.length : lineEnd;
  const lineStart = source.lastIndexOf('\n', isNode(last) ? last.range?.[0] : undefined) + 1;
  const indent = /^ */.exec(source.slice(lineStart))?.[0] ?? '';
  return `${source.slice(0, end)}\n${linesOf(added, indent)}${source.slice(end)}`;
}

/** Where a node's text ends, without what follows it on its last line. */
function endOf(node: unknown): number {
  if (isMap(node) && node.flow !== true) return endOf(node.items.at(-1)?.value);
  return (isNode(node) && node.range?.[1]) || 0;
}

/** Without a line end. */
function linesOf(entries: readonly GoldenFile[], indent: string): string {
  return stringify(entries, { lineWidth: 0 }).trimEnd().replaceAll(/^/gm, indent);
}
