/** Archives of the image detector that ships, with another manifest and so another digest. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { REPOSITORY } from '../../hack/lib/paths.ts';

const PACKAGE = join(REPOSITORY, 'models/image-residual-cnn');

export interface Archive {
  /** Of the package: that of its manifest. */
  readonly digest: string;
  /** A .tar.gz. */
  readonly bytes: Buffer;
}

/** The package with its manifest's text as `edit` leaves it. */
export async function archiveOf(edit: (manifest: string) => string): Promise<Archive> {
  const archive = pack();
  const manifest = edit(readFileSync(join(PACKAGE, 'model.yaml'), 'utf8'));
  archive.entry({ name: 'model.yaml' }, manifest);
  for (const folder of ['.', 'golden']) {
    for (const name of readdirSync(join(PACKAGE, folder)).filter((entry) => /\.(onnx|png)$/.test(entry))) {
      archive.entry({ name: join(folder, name) }, readFileSync(join(PACKAGE, folder, name)));
    }
  }
  archive.finalize();
  const bytes = await buffer(archive.pipe(createGzip()));
  return { bytes, digest: `sha256:${createHash('sha256').update(manifest).digest('hex')}` };
}

/** The manifest under another version. */
export const withVersion = (version: string) => (manifest: string) =>
  manifest.replace(/^version: .*$/m, `version: ${version}`);

/**
 * The manifest of a detector that takes its graph's output for the contrary: as fast as before, consistent with its golden scores, and
 * wrong about nearly every file.
 */
export function upsideDown(manifest: string): string {
  const number = (name: string) => Number(new RegExp(`^ +${name}: (.*)$`, 'm').exec(manifest)?.[1]);
  const intercept = number('intercept');
  const turned = (score: number) => {
    const logit = Math.log(score / (1 - score)) - intercept;
    return 1 / (1 + Math.exp(logit - intercept));
  };
  return manifest
    .replace(/^ {2}positive: fake$/m, '  positive: real')
    .replace(
      /^( {2}score: )(.*)$/gm,
      (_line, key: string, score: string) => `${key}${turned(Number(score)).toFixed(5)}`,
    );
}

export const configMap = (name: string, data: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  ...data,
});

/** A ConfigMap of one archive, as a DeepfakeModel's `configMap` source names it. */
export const archiveMap = (name: string, { bytes }: Archive) =>
  configMap(name, { binaryData: { [`${name}.tar.gz`]: bytes.toString('base64') } });
