/** What manifests of registries say, and which layers of theirs make a package. Pure. */
import { z } from 'zod';
import { FetchError } from '../errors.ts';

const digest = z.string().regex(/^sha256:[a-f0-9]{64}$/);
const annotations = z.record(z.string(), z.string()).nullish();
const descriptor = z.looseObject({ mediaType: z.string(), digest, size: z.int().min(0), annotations });
const manifest = z.looseObject({ layers: z.array(descriptor).min(1).max(1000) });
const index = z.looseObject({
  manifests: z
    .array(
      z.looseObject({
        ...descriptor.shape,
        platform: z.looseObject({ architecture: z.string(), os: z.string() }).nullish(),
      }),
    )
    .max(1000),
});

type Descriptor = z.output<typeof descriptor>;

export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
] as const;

const titleAnnotation = 'org.opencontainers.image.title';
const modelPackPath = 'org.cncf.model.filepath';
const unpackAnnotation = 'io.deis.oras.content.unpack';
const attestationAnnotation = 'vnd.docker.reference.type';
const modelPackPrefix = 'application/vnd.cncf.model.';
const emptyType = 'application/vnd.oci.empty.v1+json';

export interface PackageLayer {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Absent for an archive. */
  readonly path?: string;
}

/** A document that is an index names the manifest to go on with; `layers` are those of a manifest. */
export type ManifestDocument = { readonly next: string } | { readonly layers: readonly Descriptor[] };

/**
 * @param architecture in the words of registries: amd64, arm64
 * @throws FetchError InvalidPackage
 */
export function readManifest(text: string, architecture: string): ManifestDocument {
  const document = parseJson(text);
  const listed = index.safeParse(document);
  if (listed.success) return { next: chooseManifest(listed.data.manifests, architecture) };
  const found = manifest.safeParse(document);
  if (found.success) return found.data;
  throw new FetchError(
    'InvalidPackage',
    `the reference leads to no manifest with layers (${z.prettifyError(found.error).replace(/\s+/g, ' ')}); push the package as an OCI artifact or image`,
  );
}

function chooseManifest(all: z.output<typeof index>['manifests'], architecture: string): string {
  const candidates = all.filter((entry) => entry.annotations?.[attestationAnnotation] === undefined);
  const fitting = candidates.filter(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  const [chosen, ...more] = candidates.length === 1 ? candidates : fitting;
  if (chosen !== undefined && more.length === 0) return chosen.digest;
  throw new FetchError(
    'InvalidPackage',
    `the reference leads to ${candidates.length} manifests, ${fitting.length} of them for linux/${architecture}; name the one that is meant by @sha256:DIGEST`,
  );
}

/** In the order in which they make the package. @throws FetchError InvalidPackage */
export function layersOf(layers: readonly Descriptor[]): PackageLayer[] {
  return layers
    .filter(({ mediaType }) => mediaType !== emptyType)
    .map((layer) => {
      const path = pathOf(layer);
      return { digest: layer.digest, sizeBytes: layer.size, ...(path === undefined ? {} : { path }) };
    });
}

/**
 * The file that a layer is, or undefined for an archive. Clients that push single files give them the media type of an archive,
 * so a title says more than the type.
 */
function pathOf({ mediaType, annotations: notes }: Descriptor): string | undefined {
  if (mediaType.startsWith(modelPackPrefix)) {
    return /\.tar(\+|$)/.test(mediaType)
      ? undefined
      : named(notes?.[modelPackPath] ?? notes?.[titleAnnotation]);
  }
  const title = notes?.[titleAnnotation];
  if (title === undefined) return /\btar\b/.test(mediaType) ? undefined : named(title, mediaType);
  const isArchive = notes?.[unpackAnnotation] === 'true' || /\.(tar|tgz|tar\.gz|tar\.zst)$/.test(title);
  return isArchive ? undefined : title;
}

function named(path: string | undefined, mediaType = modelPackPrefix): string {
  if (path !== undefined) return path;
  throw new FetchError(
    'InvalidPackage',
    `a layer of type ${mediaType} is no tar archive and says no file name; annotate it with ${titleAnnotation}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
