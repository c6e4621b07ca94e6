import { existsSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Puts a file into place as kubelet does with a Secret: a new folder per version, and one symbolic link that is moved to it.
 * @returns the path of the file, the same for every version
 */
export async function mountSecret(folder: string, version: string, content: string): Promise<string> {
  const path = join(folder, 'keys');
  await mkdir(join(folder, version));
  await writeFile(join(folder, version, 'keys'), content);
  await symlink(version, join(folder, '..data_new'));
  await rename(join(folder, '..data_new'), join(folder, '..data'));
  if (!existsSync(path)) await symlink(join('..data', 'keys'), path);
  return path;
}
