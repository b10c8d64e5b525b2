# Packages: named derivations that are never built, each with the path that it would have in the store.
# Files that a module writes there announce their content on stderr once somebody names their path, so that scripts can be read and checked.
{ lib }:
let
  storePath =
    name: seed:
    "/nix/store/${builtins.substring 0 32 (builtins.hashString "sha256" "${name}:${seed}")}-${name}";

  package =
    name: outPath: extra:
    let
      self = {
        type = "derivation";
        inherit name outPath;
        pname = name;
        version = "0";
        src = self;
        drvPath = "${outPath}.drv";
        outputs = [ "out" ];
        outputName = "out";
        out = self;
        meta = {
          mainProgram = name;
          knownVulnerabilities = [ ];
        };
        passthru = { };
        override = _: self;
        overrideAttrs = _: self;
        overridePythonAttrs = _: self;
      }
      // extra;
    in
    self;

  named = name: package name (storePath name "") { };

  # `file`: where the text lies below the store path; "" is the path itself.
  written =
    language: name: file: text:
    let
      root = storePath name text;
      announcement = builtins.toJSON {
        path = root + file;
        inherit language text;
      };
    in
    package name (builtins.trace "holdfast-file ${announcement}" root) { inherit text; };

  script = name: text: written "bash" name "" "#!/bin/bash\n${text}";
  program = name: text: written "bash" name "/bin/${name}" "#!/bin/bash\n${text}";
  textFile = name: text: written "text" name "" text;

  valueFormat = import ./formats.nix { inherit lib textFile; };

  python = {
    sitePackages = "lib/python3/site-packages";
    override = _: pkgs.python3;
    withPackages = _: named "python3-with-packages";
    buildEnv = pkgs.python3;
    pkgs = python3Packages;
    interpreter = "${named "python3"}/bin/python3";
  };
  python3Packages = lib.genAttrs pythonNames named // {
    inherit (pkgs) callPackage;
    toPythonApplication = application: application;
    python = pkgs.python3;
  };
  pythonNames = [
    "cachetools"
    "ecdsa"
    "hwi"
    "packaging"
    "pip"
    "pyln-client"
    "requests"
    "trezor"
    "twisted"
    "txzmq"
    "pythonRelaxDepsHook"
    "joinmarket"
  ];

  nodePackage =
    path:
    {
      mempool = lib.genAttrs [
        "mempool-backend"
        "mempool-frontend"
        "mempool-rust-gbt"
        "mempool-nginx-conf"
      ] named;
    }
    .${baseNameOf path} or (named (baseNameOf path));

  pkgs = lib.genAttrs names named // {
    inherit lib;
    inherit (valueFormat) formats;
    inherit python3Packages;
    python3 = named "python3" // python;
    python3Minimal = named "python3-minimal" // python;
    callPackage = path: _: nodePackage path;
    system = "x86_64-linux";
    stdenv = named "stdenv" // {
      shell = "${named "bash"}/bin/bash";
      hostPlatform = {
        system = "x86_64-linux";
        isx86_64 = true;
        isx86 = true;
        isAarch64 = false;
        isLinux = true;
        is64bit = true;
      };
      mkDerivation = arguments: named (arguments.name or arguments.pname);
    };
    runtimeShell = "${named "bash"}/bin/bash";
    linuxPackages = {
      kernel = named "linux";
    };
    linuxPackages_latest = {
      kernel = named "linux-latest";
    };
    linuxPackages_hardened = {
      kernel = named "linux-hardened";
    };
    writers = {
      writeBash = script;
      writeDash = script;
      writeBashBin = program;
      writeDashBin = program;
      writeJSON = name: value: textFile name (builtins.toJSON value);
    };
    writeScript =
      name: text: written (if lib.hasInfix "sh\n" text then "bash" else "text") name "" text;
    writeScriptBin =
      name: text: written (if lib.hasInfix "sh\n" text then "bash" else "text") name "/bin/${name}" text;
    writeShellScript = script;
    writeShellScriptBin = program;
    writeShellApplication = { name, text, ... }: program name text;
    writeText = textFile;
    writeTextDir = path: text: written "text" (baseNameOf path) "/${path}" text;
    writeTextFile =
      {
        name,
        text,
        destination ? "",
        ...
      }:
      written (if lib.hasPrefix "#!" text then "bash" else "text") name destination text;
    runCommand =
      name: _: commands:
      written "bash" name "/built-by" commands;
    runCommandLocal =
      name: _: commands:
      written "bash" name "/built-by" commands;
    fetchurl =
      {
        name ? baseNameOf url,
        url,
        ...
      }:
      named name;
    fetchFromGitHub =
      {
        owner,
        repo,
        rev,
        ...
      }:
      named "${owner}-${repo}" // { inherit rev; };
    linkFarm = name: _: named name;
    symlinkJoin = { name, ... }: named name;
    buildEnv = { name, ... }: named name;
  };

  names = import ./packageNames.nix;
in
pkgs
