/** Labelled media from an address: an archive of which the digest is known. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import { download } from '../models/fetch/download.ts';
import { FetchError } from '../models/fetch/errors.ts';
import { anonymous } from '../models/fetch/resource.ts';
import { Transport } from '../models/fetch/transport.ts';
import { UnpackBudget, unpack } from '../models/fetch/unpack.ts';
import { ProbeError } from './errors.ts';

/** Of the archive, and of what comes out of it. */
const maxBytes = 4 * 1024 ** 3;
const patience = { attempts: 5, retryMs: 1000, idleMs: 30_000 };

/**
 * @param sha256 64 hexadecimal digits
 * @param folder empty
 * @returns the folder with manifest.csv: this one, or the only one in it
 * @throws ProbeError MediaUnreachable, InvalidMedia
 */
export async function downloadMedia(url: string, sha256: string, folder: string): Promise<string> {
  const transport = new Transport(patience.idleMs);
  const archive = join(folder, 'media.tar.gz');
  const media = join(folder, 'media');
  try {
    await mkdir(media);
    await download({
      resource: { url, access: anonymous, sha256 },
      path: archive,
      maxBytes,
      transport,
      patience,
      admit: async () => undefined,
      onSize: () => undefined,
    });
    await unpack(archive, media, new UnpackBudget(maxBytes));
  } catch (error) {
    const unreachable = error instanceof FetchError && error.transient;
    throw new ProbeError(unreachable ? 'MediaUnreachable' : 'InvalidMedia', messageOf(error), {
      cause: error,
    });
  } finally {
    await transport.close();
  }
  const entries = await readdir(media, { withFileTypes: true });
  const [only, ...others] = entries;
  return only?.isDirectory() && others.length === 0 ? join(media, only.name) : media;
}
