import type { ReactNode } from "react";

function icon(paths: ReactNode) {
  // biome-ignore lint/correctness/noComponentHookFactories: called once for each icon, when the module is loaded.
  return function Icon() {
    return (
      <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
        {paths}
      </svg>
    );
  };
}

export const CodeIcon = icon(<path d="m5 4.5-3.5 3.500L5 11.500m6-7 3.5 3.5-3.5 3.500M9 3 7 13" />);
export const AgentIcon = icon(
  <>
    <rect x="2.5" y="5" width="11" height="8" rx="2.5" />
    <path d="M8 5V2.500M5.8 8.500v1.200m4.4-1.200v1.2" />
  </>,
);
export const ChatIcon = icon(
  <path d="M2.5 4.500a2 2 0 0 1 2-2h7a2 2 0 0 1 2 2v4.500a2 2 0 0 1-2 2H7.500l-3 2.700V11a2 2 0 0 1-2-2z" />,
);
export const BoxIcon = icon(
  <path d="M8 1.8 13.5 4.800v6.400L8 14.200l-5.5-3V4.800zM2.5 4.8 8 7.800l5.5-3M8 7.800v6.4" />,
);
export const PlayIcon = icon(<path className="filled" d="M4.5 2.800v10.400L13 8z" />);
export const StopIcon = icon(<rect className="filled" x="3.5" y="3.5" width="9" height="9" rx="1.5" />);
export const PlusIcon = icon(<path d="M8 3v10M3 8h10" />);
export const CloseIcon = icon(<path d="m4 4 8 8m0-8-8 8" />);
export const DownloadIcon = icon(<path d="M8 2.500v7.500M4.8 7 8 10.2 11.2 7M3 13.200h10" />);
export const UploadIcon = icon(<path d="M8 10.500V3M4.8 5.7 8 2.500l3.2 3.200M3 13.200h10" />);
export const TrashIcon = icon(
  <path d="M2.8 4.500h10.400M6.3 4.500v-2h3.400v2M4 4.500l.6 9h6.800l.6-9M6.7 7v4m2.6-4v4" />,
);
export const EditIcon = icon(<path d="m10.8 2.6 2.6 2.600L5.5 13.100l-3.2.600.6-3.200z" />);
export const FileIcon = icon(<path d="M4 1.800h5l3.2 3.200v9.200H4zM9 1.800V5h3.2" />);
export const FolderIcon = icon(
  <path d="M1.8 4.300c0-.7.5-1.2 1.2-1.200h3l1.5 1.700H13c.7 0 1.2.5 1.2 1.200v6c0 .7-.5 1.2-1.2 1.200H3c-.7 0-1.2-.5-1.2-1.200z" />,
);
export const RefreshIcon = icon(<path d="M13 8a5 5 0 1 1-1.6-3.700M13 2.200v2.800h-2.8" />);
export const SunIcon = icon(
  <>
    <circle cx="8" cy="8" r="2.8" />
    <path d="M8 1.500v1.300m0 10.400v1.300M1.5 8h1.300m10.4 0h1.300M3.4 3.400l.9.900m7.4 7.4.9.900m0-9.2-.9.900m-7.4 7.4-.9.9" />
  </>,
);
export const MoonIcon = icon(<path d="M13.3 9.800A5.8 5.8 0 0 1 6.2 2.700a5.8 5.8 0 1 0 7.1 7.100z" />);
export const CheckIcon = icon(<path d="m3 8.5 3.3 3.300L13 4.8" />);
export const AlertIcon = icon(<path d="M8 2 14.5 13.500h-13zM8 6.500v3m0 2v.1" />);
export const SendIcon = icon(<path d="M8 13.500v-11M3.5 7 8 2.5 12.5 7" />);
export const ChevronIcon = icon(<path d="m6 3.5 4.5 4.500L6 12.5" />);
export const BackIcon = icon(<path d="m10 3.5-4.5 4.5 4.5 4.5" />);
export const ListIcon = icon(<path d="M2.5 4h11m-11 4h11m-11 4h11" />);
export const ClipIcon = icon(
  <path d="m13 7.3-5.3 5.300a3.3 3.3 0 0 1-4.7-4.700l5.7-5.700a2.2 2.2 0 0 1 3.1 3.100L6.3 10.800a1.1 1.1 0 0 1-1.5-1.500l4.9-5" />,
);
export const ExitIcon = icon(<path d="M6.5 2.500H3v11h3.500M7 8h7m-2.7-2.700L14 8l-2.7 2.7" />);
