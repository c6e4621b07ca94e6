/** manifest.csv: which files of a folder there are, and whether they are fake. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { messageOf } from '../errors.ts';
import { ProbeError } from './errors.ts';

export interface ProbeFile {
  /** As the manifest has it. */
  readonly path: string;
  /** Where it is. */
  readonly file: string;
  readonly fake: boolean;
}

const NAME = 'manifest.csv';
const maxBytes = 16 * 1024 ** 2;
const maxFiles = 100_000;
const labels: ReadonlyMap<string, boolean> = new Map([
  ['fake', true],
  ['real', false],
]);

/** @throws ProbeError InvalidMedia that names every kind of mistake once, with its line */
export async function readManifest(folder: string): Promise<readonly ProbeFile[]> {
  const path = join(folder, NAME);
  let text: string;
  try {
    if ((await stat(path)).size > maxBytes) throw new Error(`is larger than ${maxBytes} bytes`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ProbeError(
      'InvalidMedia',
      `${path}: ${messageOf(error)}; the folder needs a ${NAME} with the columns path,label`,
      { cause: error },
    );
  }
  const rows = parseManifest(text);
  return Promise.all(rows.map((row) => located(folder, row)));
}

export type ManifestRow = Omit<ProbeFile, 'file'> & { readonly line: number };

/** @throws ProbeError InvalidMedia */
export function parseManifest(text: string): readonly ManifestRow[] {
  const records = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => content.trim() !== '');
  const [head, ...body] = records.map(({ content, line }) => ({ cells: cellsOf(content, line), line }));
  if (head?.cells.slice(0, 2).join() !== 'path,label')
    throw invalid(1, 'the first line has to be path,label');
  if (body.length === 0) throw new ProbeError('InvalidMedia', `${NAME} names no file`);
  if (body.length > maxFiles)
    throw new ProbeError('InvalidMedia', `${NAME} names more than ${maxFiles} files`);
  const seen = new Map<string, number>();
  return body.map(({ cells, line }) => {
    const [path = '', label = ''] = cells.map((cell) => cell.trim());
    const fake = labels.get(label);
    if (path === '') throw invalid(line, 'there is no path');
    if (fake === undefined) throw invalid(line, `the label is ${JSON.stringify(label)}; it is real or fake`);
    const earlier = seen.get(path);
    if (earlier !== undefined) throw invalid(line, `${path} is in line ${earlier} already`);
    seen.set(path, line);
    return { path, fake, line };
  });
}

/** RFC 4180, but for line breaks inside of quotes, which no path has. Further columns are for people. */
function cellsOf(content: string, line: number): string[] {
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = cell.exec(content);
    if (!match) throw invalid(line, 'the quotes do not fit');
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '') return cells;
  }
}

/** Links may lead around inside of the folder, as those of a mounted ConfigMap do. */
async function located(folder: string, { path, fake, line }: ManifestRow): Promise<ProbeFile> {
  const file = join(folder, path);
  try {
    const [root, target] = await Promise.all([realpath(folder), realpath(file)]);
    const inside = relative(root, target);
    if (isAbsolute(path) || inside === '..' || inside.startsWith('../'))
      throw new Error('it leads out of the folder');
    if (!(await stat(target)).isFile()) throw new Error('it is no file');
  } catch (error) {
    throw invalid(line, `${path}: ${messageOf(error)}`);
  }
  return { path, fake, file };
}

const invalid = (line: number, what: string) =>
  new ProbeError('InvalidMedia', `${NAME}, line ${line}: ${what}`);
