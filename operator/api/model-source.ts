/** Where a model package comes from. */
import { z } from 'zod';
import { type CelRule, dnsLabel, doc, objectName, secretKey } from './schema.ts';

/** An address of a server, without credentials, query and fragment. */
const endpoint = (description: string) =>
  doc(
    z
      .string()
      .max(2048)
      .regex(/^https?:\/\/[^\s?#]+$/),
    description,
    { rules: [withoutCredentials('endpoint')] },
  );

const withoutCredentials = (what: string): CelRule => ({
  rule: "!self.matches('^https?://[^/]*@')",
  message: `${what} carries no credentials: put them into a Secret and name it in secretRef`,
});

/** Relative, of plain characters, and never upwards. */
const relativePath = (description: string) =>
  doc(
    z
      .string()
      .min(1)
      .max(512)
      .regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/),
    description,
    {
      rules: [
        {
          rule: "!self.split('/').exists(part, part == '..' || part == '.')",
          message: "path has no '.' and no '..' in it",
        },
      ],
    },
  );

const dataKey = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._a-zA-Z0-9]+$/);

const builtin = doc(
  z.object({ name: doc(dnsLabel(), 'Name of a package that is part of the inference image.') }),
  'A package that is part of the inference image.',
);

const http = doc(
  z.object({
    url: doc(
      z
        .string()
        .max(2048)
        .regex(/^https?:\/\/[^\s]+$/),
      'Address of a .tar.gz archive of a model package.',
      { rules: [withoutCredentials('url')] },
    ),
    secretRef: secretKey('Its value is sent as the Authorization header.', 'authorization').optional(),
  }),
  'A .tar.gz archive fetched over HTTP.',
);

/** Addresses are normalised on their way, so a key with such a part would name another object. */
const objectKey = (description: string) =>
  doc(
    z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[^\p{Cc}]+$/u),
    description,
    {
      rules: [
        {
          rule: "!self.split('/').exists(part, part == '..' || part == '.')",
          message: "key and prefix have no part '.' or '..'",
        },
      ],
    },
  );

const s3 = doc(
  z.object({
    bucket: doc(
      z
        .string()
        .min(3)
        .max(63)
        .regex(/^[a-z0-9][a-z0-9.-]*[a-z0-9]$/),
      'Name of the bucket.',
    ),
    key: objectKey('Key of a .tar.gz archive of a model package.').optional(),
    prefix: objectKey('Prefix under which the files of a model package lie.').optional(),
    region: doc(
      z
        .string()
        .max(63)
        .regex(/^[a-z0-9-]+$/),
      'Region of the bucket.',
    ).default('us-east-1'),
    endpoint: endpoint("Address of an S3-compatible server. Default: AWS's of the region.").optional(),
    forcePathStyle: doc(
      z.boolean(),
      'true: the bucket stands in the path, not in the host name. Default: true where endpoint is set.',
    ).optional(),
    secretRef: doc(
      z.object({
        name: doc(objectName(), 'Name of a Secret in the same namespace.'),
        accessKeyIdKey: doc(dataKey(), 'Key of the access key id.').default('AWS_ACCESS_KEY_ID'),
        secretAccessKeyKey: doc(dataKey(), 'Key of the secret access key.').default('AWS_SECRET_ACCESS_KEY'),
        sessionTokenKey: doc(dataKey(), 'Key of a session token; it may be absent.').default(
          'AWS_SESSION_TOKEN',
        ),
      }),
      'Credentials. Default: none, for a public bucket.',
    ).optional(),
  }),
  'An archive or a folder in S3 or a store that speaks its protocol.',
  {
    rules: [
      {
        rule: 'has(self.key) != has(self.prefix)',
        message: 'exactly one of s3.key (an archive) and s3.prefix (a folder) has to be set',
      },
    ],
  },
);

const huggingFace = doc(
  z.object({
    repository: doc(
      z
        .string()
        .max(193)
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,95}\/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/),
      'owner/name of a model repository.',
    ),
    revision: doc(
      z
        .string()
        .min(1)
        .max(255)
        .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/),
      'Branch, tag or commit.',
    ).default('main'),
    path: relativePath("The package's folder in the repository. Default: its root.").optional(),
    endpoint: endpoint('Address of a mirror. Default: https://huggingface.co.').optional(),
    secretRef: secretKey('Its value is the access token.', 'token').optional(),
  }),
  'A model package in a repository of the Hugging Face Hub.',
);

const oci = doc(
  z.object({
    reference: doc(
      z
        .string()
        .max(512)
        .regex(
          /^[a-zA-Z0-9.-]+(:[0-9]{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?$/,
        ),
      'HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]. The digest here is that of the OCI manifest; spec.digest is that of the package.',
    ),
    plainHttp: doc(z.boolean(), 'true: the registry speaks HTTP without TLS.').default(false),
    secretRef: doc(
      z.object({ name: doc(objectName(), 'Name of a Secret of type kubernetes.io/dockerconfigjson.') }),
      'Credentials of the registry. Default: none.',
    ).optional(),
  }),
  'An OCI artifact or image whose layers hold the files of a model package.',
);

const pvc = doc(
  z.object({
    claimName: doc(objectName(), 'A PersistentVolumeClaim in the same namespace, mounted read-only.'),
    path: relativePath("The package's folder, relative to the volume's root."),
  }),
  'A package that already lies on a volume. It is verified in place and never copied.',
);

const configMap = doc(
  z.object({
    name: doc(objectName(), 'A ConfigMap in the same namespace.'),
    key: doc(dataKey(), 'Key under which the .tar.gz archive stands in binaryData.').default(
      'package.tar.gz',
    ),
  }),
  'A small package (at most 1 MiB) as an archive in a ConfigMap.',
);

const SOURCES = { builtin, http, s3, huggingFace, oci, pvc, configMap };
const names = Object.keys(SOURCES);

export const modelSource = doc(
  z.object({
    builtin: builtin.optional(),
    http: http.optional(),
    s3: s3.optional(),
    huggingFace: huggingFace.optional(),
    oci: oci.optional(),
    pvc: pvc.optional(),
    configMap: configMap.optional(),
  }),
  'Where the package comes from: exactly one of the members.',
  {
    rules: [
      {
        rule: `[${names.map((name) => `has(self.${name})`).join(', ')}].exists_one(given, given)`,
        message: `exactly one of ${names.map((name) => `source.${name}`).join(', ')} has to be set`,
      },
    ],
  },
);
export type ModelSource = z.output<typeof modelSource>;
