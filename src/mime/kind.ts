/**
 * What bytes are, by what stands in them, whatever their name and Content-Type say: a MIME type.
 *
 * Looked at is a beginning of some thousand bytes, once. The names are IANA's, or those of libmagic (file --mime-type)
 * where there are none. What programs of an office are follows from the names in their archive: see officeKind().
 */

/** Bytes of a beginning that are looked at; the volume descriptor of a disk image lies behind 32 KiB. */
export const KIND_BYTES = 40 * 1024;

interface Signature {
  readonly type: string;
  /** Where each text, in latin1, must stand; a dot stands for any byte. */
  readonly at: readonly (readonly [offset: number, text: string])[];
}

const signature = (type: string, text: string, offset = 0, ...more: [number, string][]): Signature => ({
  type,
  at: [[offset, text], ...more],
});

const OLE = '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1';

const SIGNATURES: readonly Signature[] = [
  // What runs.
  signature('application/x-elf', '\x7fELF'),
  signature('application/x-mach-binary', '\xcf\xfa\xed\xfe'),
  signature('application/x-mach-binary', '\xce\xfa\xed\xfe'),
  signature('application/java-vm', '\xca\xfe\xba\xbe\0\0\0', 0),
  signature('application/x-ms-shortcut', 'L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F'),
  signature('application/vnd.ms-htmlhelp', 'ITSF'),
  signature('text/x-shellscript', '#!'),
  signature('application/wasm', '\0asm'),
  // Archives.
  signature('application/vnd.rar', 'Rar!\x1a\x07'),
  signature('application/x-7z-compressed', "7z\xbc\xaf'\x1c"),
  signature('application/gzip', '\x1f\x8b\x08'),
  signature('application/x-bzip2', 'BZh'),
  signature('application/x-xz', '\xfd7zXZ\0'),
  signature('application/zstd', '\x28\xb5\x2f\xfd'),
  signature('application/vnd.ms-cab-compressed', 'MSCF\0\0\0\0'),
  signature('application/x-arj', '\x60\xea'),
  signature('application/x-tar', 'ustar', 257),
  signature('application/x-ace-compressed', '**ACE**', 7),
  signature('application/x-lzh-compressed', '-lh', 2),
  signature('application/x-iso9660-image', 'CD001', 0x8001),
  signature('application/zip', 'PK\x03\x04'),
  signature('application/zip', 'PK\x05\x06'),
  signature('application/vnd.ms-tnef', '\x78\x9f\x3e\x22'),
  signature('application/x-vhdx', 'vhdxfile'),
  signature('application/x-ms-wim', 'MSWIM\0\0\0'),
  // Documents.
  signature('application/pdf', '%PDF-'),
  signature('application/x-ole-storage', OLE),
  signature('application/rtf', '{\\rt'),
  signature('application/onenote', '\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3'),
  signature('application/postscript', '%!PS'),
  signature('application/x-msaccess', '\0\x01\0\0Standard '),
  // Pictures, sound, films.
  signature('image/png', '\x89PNG\r\n\x1a\n'),
  signature('image/jpeg', '\xff\xd8\xff'),
  signature('image/gif', 'GIF87a'),
  signature('image/gif', 'GIF89a'),
  signature('image/webp', 'RIFF', 0, [8, 'WEBP']),
  signature('image/bmp', 'BM', 0, [6, '\0\0\0\0']),
  signature('image/tiff', 'II*\0'),
  signature('image/tiff', 'MM\0*'),
  signature('image/vnd.microsoft.icon', '\0\0\x01\0'),
  signature('image/heic', 'ftyphei', 4),
  signature('image/heic', 'ftypmif1', 4),
  signature('image/avif', 'ftypavif', 4),
  signature('audio/mpeg', 'ID3'),
  signature('audio/x-wav', 'RIFF', 0, [8, 'WAVE']),
  signature('audio/ogg', 'OggS'),
  signature('audio/flac', 'fLaC'),
  signature('audio/mp4', 'ftypM4A', 4),
  signature('video/x-msvideo', 'RIFF', 0, [8, 'AVI ']),
  signature('video/quicktime', 'ftypqt', 4),
  signature('video/mp4', 'ftyp', 4),
  signature('video/webm', '\x1aE\xdf\xa3'),
  signature('font/woff2', 'wOF2'),
  signature('font/woff', 'wOFF'),
  signature('application/vnd.sqlite3', 'SQLite format 3\0'),
];

const BY_FIRST_BYTE = new Map<number, Signature[]>();
const ELSEWHERE: Signature[] = [];
for (const known of SIGNATURES) {
  const [offset, text] = known.at[0] ?? [0, ''];
  if (offset !== 0) ELSEWHERE.push(known);
  else {
    const first = text.charCodeAt(0);
    BY_FIRST_BYTE.set(first, [...(BY_FIRST_BYTE.get(first) ?? []), known]);
  }
}

/** @param bytes the beginning, up to KIND_BYTES. @returns undefined where nothing tells */
export function kindOf(bytes: Buffer): string | undefined {
  const holds = ([offset, text]: readonly [number, string]) =>
    bytes.toString('latin1', offset, offset + text.length) === text;
  const matches = ({ at }: Signature) => at.every(holds);
  if (holds([0, 'MZ'])) return executableKind(bytes);
  const found = BY_FIRST_BYTE.get(bytes[0] ?? -1)?.find(matches) ?? ELSEWHERE.find(matches);
  if (found?.type === 'application/x-ole-storage') return oleKind(bytes) ?? found.type;
  return found?.type ?? markupKind(bytes);
}

function executableKind(bytes: Buffer): string {
  const at = bytes.length >= 64 ? bytes.readUInt32LE(60) : 0;
  const isWindows = at > 0 && at + 4 <= bytes.length && bytes.toString('latin1', at, at + 2) === 'PE';
  return isWindows ? 'application/vnd.microsoft.portable-executable' : 'application/x-dosexec';
}

/** By the names of the streams in its directory, which are UTF-16. */
function oleKind(bytes: Buffer): string | undefined {
  const wide = (text: string) => Buffer.from(text, 'utf16le');
  if (bytes.includes(wide('WordDocument'))) return 'application/msword';
  if (bytes.includes(wide('Workbook')) || bytes.includes(wide('Book\0'))) return 'application/vnd.ms-excel';
  if (bytes.includes(wide('PowerPoint Document'))) return 'application/vnd.ms-powerpoint';
  if (bytes.includes(wide('__substg1.0_'))) return 'application/vnd.ms-outlook';
  if (bytes.includes(Buffer.from('Installation Database')) || bytes.includes(wide('\u4840\u3f3f')))
    return 'application/x-msi';
  return undefined;
}

/** What text may begin with and still be seen as such. */
const BEFORE = /^(?:\xef\xbb\xbf)?[\s\0]*/;

function markupKind(bytes: Buffer): string | undefined {
  const wide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const text = bytes.toString('latin1', wide ? 2 : 0, 2048).replaceAll(wide ? '\0' : '', '');
  const begin = text.replace(BEFORE, '').slice(0, 1024).toLowerCase();
  if (/^(?:<!--.{0,500}?-->\s*)?<(?:!doctype html|html|head|body|script|iframe|meta|title)\b/s.test(begin))
    return 'text/html';
  if (begin.startsWith('<?xml') || begin.startsWith('<svg') || begin.startsWith('<job'))
    return begin.includes('<svg') ? 'image/svg+xml' : begin.includes('<html') ? 'text/html' : 'text/xml';
  if (begin.startsWith('begin:vcalendar')) return 'text/calendar';
  if (begin.startsWith('begin:vcard')) return 'text/vcard';
  if (/^(?:windows registry editor|regedit4)/.test(begin)) return 'text/x-ms-regedit';
  if (begin.startsWith('[internetshortcut]')) return 'application/x-mswinurl';
  if (begin.startsWith('@echo off')) return 'text/x-msdos-batch';
  return undefined;
}

const OOXML = 'application/vnd.openxmlformats-officedocument.';
const MAIN_PARTS: readonly (readonly [folder: string, plain: string, withMacros: string])[] = [
  ['word/', `${OOXML}wordprocessingml.document`, 'application/vnd.ms-word.document.macroenabled.12'],
  ['xl/', `${OOXML}spreadsheetml.sheet`, 'application/vnd.ms-excel.sheet.macroenabled.12'],
  [
    'ppt/',
    `${OOXML}presentationml.presentation`,
    'application/vnd.ms-powerpoint.presentation.macroenabled.12',
  ],
];

/** What a ZIP archive with files of these names is: a document of an office, a program in Java, ...; undefined for an archive. */
export function officeKind(names: readonly string[]): string | undefined {
  const has = (name: string) => names.some((given) => given.toLowerCase() === name);
  const hasIn = (folder: string) => names.some((given) => given.toLowerCase().startsWith(folder));
  if (has('[content_types].xml')) {
    for (const [folder, plain, withMacros] of MAIN_PARTS) {
      if (hasIn(folder)) return has(`${folder}vbaproject.bin`) ? withMacros : plain;
    }
    return undefined;
  }
  if (has('meta-inf/manifest.mf')) return has('androidmanifest.xml') ? APK : 'application/java-archive';
  return has('androidmanifest.xml') ? APK : undefined;
}

const APK = 'application/vnd.android.package-archive';

/** That an OpenDocument or an electronic book says of itself: the first file of its archive, `mimetype`, stored as it is. */
export function declaredKind(bytes: Buffer): string | undefined {
  if (bytes.length < 60 || bytes.toString('latin1', 30, 38) !== 'mimetype') return undefined;
  return /^application\/[a-z0-9.+-]{3,80}/.exec(bytes.toString('latin1', 38, 130))?.[0];
}
