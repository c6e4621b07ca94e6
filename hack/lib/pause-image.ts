/** The image of the process that holds a pod's namespaces: one static program, as an archive that containerd imports. */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './process.ts';

/** Writes the image `tag` that runs `program` to the archive `path`. */
export async function writePauseImage(program: string, tag: string, path: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pause-image-'));
  try {
    copyFileSync(program, join(folder, 'pause'));
    await run('tar', [
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '-C',
      folder,
      '-cf',
      join(folder, 'layer.tar'),
      'pause',
    ]);
    const layer = createHash('sha256')
      .update(readFileSync(join(folder, 'layer.tar')))
      .digest('hex');
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    const config = {
      architecture,
      os: 'linux',
      config: { Entrypoint: ['/pause'], User: '65535:65535' },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
    };
    const manifest = [{ Config: 'config.json', RepoTags: [tag], Layers: ['layer.tar'] }];
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
    await run('tar', ['-C', folder, '-cf', path, 'manifest.json', 'config.json', 'layer.tar']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
