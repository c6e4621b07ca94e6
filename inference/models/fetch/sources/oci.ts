/** An artifact or image in a registry whose layers hold the files of a package. */
import { dockerCredentials, readDockerConfig } from '../oci/credentials.ts';
import { layersOf } from '../oci/manifest.ts';
import { parseReference } from '../oci/reference.ts';
import { Registry } from '../oci/registry.ts';
import type { Patience } from '../persistence.ts';
import type { Remote } from '../resource.ts';
import type { OciSource } from '../source.ts';
import type { Transport } from '../transport.ts';

/** @param dockerConfig folder with a config.json; undefined for a public registry */
export async function ociRemote(
  source: OciSource,
  dockerConfig: string | undefined,
  transport: Transport,
  patience: Patience,
): Promise<Remote> {
  const reference = parseReference(source.reference);
  const config = dockerConfig === undefined ? {} : await readDockerConfig(dockerConfig);
  const login = dockerCredentials(config, reference);
  const registry = new Registry({ reference, plainHttp: source.plainHttp, login, transport, patience });
  const manifest = await registry.manifest();
  const layers = layersOf(manifest).map(({ digest, sizeBytes, path }) => ({
    resource: {
      url: registry.blobUrl(digest),
      access: registry,
      sha256: digest.replace('sha256:', ''),
      sizeBytes,
    },
    ...(path === undefined ? {} : { path }),
  }));
  return { kind: 'layers', layers };
}
