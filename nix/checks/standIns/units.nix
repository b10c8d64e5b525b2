# The options of one unit, and the text of its file.
{ lib, pkgs }:
let
  inherit (lib) mkOption types;

  # A list is the setting again and again; definitions of lists add up, all others must agree.
  setting = lib.mkOptionType {
    name = "systemd option";
    merge =
      location: definitions:
      let
        strongest = lib.filterOverrides definitions;
      in
      if builtins.any (definition: builtins.isList definition.value) strongest then
        builtins.concatMap (definition: lib.toList definition.value) strongest
      else
        lib.mergeEqualOption location strongest;
  };

  section = mkOption {
    type = types.attrsOf setting;
    default = { };
  };
  unitName = types.strMatching "[a-zA-Z0-9@%:_.\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)";
  names = mkOption {
    type = types.listOf unitName;
    default = [ ];
  };
  strings = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  commands = mkOption {
    type = types.lines;
    default = "";
  };
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };

  dependencies = {
    after = "After";
    before = "Before";
    bindsTo = "BindsTo";
    conflicts = "Conflicts";
    onFailure = "OnFailure";
    onSuccess = "OnSuccess";
    partOf = "PartOf";
    requires = "Requires";
    requisite = "Requisite";
    upholds = "Upholds";
    wants = "Wants";
  };

  common = {
    options = lib.mapAttrs (_: _: names) dependencies // {
      enable = flag true;
      description = mkOption {
        type = types.singleLineStr;
        default = "";
      };
      documentation = strings;
      wantedBy = names;
      requiredBy = names;
      upheldBy = names;
      aliases = names;
      unitConfig = section;
      restartTriggers = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      reloadTriggers = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      stopIfChanged = flag true;
      restartIfChanged = flag true;
      reloadIfChanged = flag false;
      stopOnRemoval = flag true;
      notSocketActivated = flag false;
      overrideStrategy = mkOption {
        type = types.enum [
          "asDropinIfExists"
          "asDropin"
        ];
        default = "asDropinIfExists";
      };
      startLimitBurst = mkOption {
        type = types.nullOr types.int;
        default = null;
      };
      startLimitIntervalSec = mkOption {
        type = types.nullOr types.int;
        default = null;
      };
    };
  };

  # Each of a service's scripts becomes a file that a setting of [Service] names.
  scripts = {
    script = "ExecStart";
    preStart = "ExecStartPre";
    postStart = "ExecStartPost";
    reload = "ExecReload";
    preStop = "ExecStop";
    postStop = "ExecStopPost";
  };

  service =
    { config, name, ... }:
    let
      job =
        kind:
        lib.getExe (
          pkgs.writeShellScriptBin "${name}-${lib.toLower kind}" "set -e\n\n${config.${kind}}\n${
            lib.optionalString (kind == "script") config.scriptArgs
          }"
        );
      both = kind: if kind == "script" || kind == "reload" then job kind else [ (job kind) ];
    in
    {
      options = lib.mapAttrs (_: _: commands) scripts // {
        scriptArgs = mkOption {
          type = types.str;
          default = "";
        };
        scriptIsExecStart = mkOption {
          type = types.bool;
          internal = true;
        };
        serviceConfig = section;
        confinement = mkOption {
          type = types.attrsOf types.anything;
          default = { };
        };
        environment = mkOption {
          type =
            with types;
            attrsOf (
              nullOr (oneOf [
                str
                path
                package
                int
              ])
            );
          default = { };
        };
        path = mkOption {
          type =
            with types;
            listOf (oneOf [
              package
              str
            ]);
          default = [ ];
        };
        startAt = mkOption {
          type = with types; coercedTo str lib.singleton (listOf str);
          default = [ ];
        };
        enableStrictShellChecks = flag false;
        enableDefaultPath = flag true;
      };
      config = {
        scriptIsExecStart = config.script != "" && (config.serviceConfig.ExecStart or null) == job "script";
        serviceConfig = lib.mkMerge (
          lib.mapAttrsToList (kind: key: lib.mkIf (config.${kind} != "") { ${key} = both kind; }) scripts
        );
        environment.PATH =
          lib.mkIf (config.path != [ ])
            "${lib.makeBinPath config.path}:${lib.makeSearchPathOutput "bin" "sbin" config.path}";
      };
    };

  mount =
    { config, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          internal = true;
        };
        what = mkOption { type = types.str; };
        where = mkOption { type = types.str; };
        type = mkOption {
          type = types.str;
          default = "";
        };
        options = mkOption {
          type = types.commas;
          default = "";
        };
        mountConfig = section;
      };
      config = {
        name = "${(import ./escape.nix { inherit lib; }).escapeSystemdPath config.where}.mount";
        mountConfig = {
          What = config.what;
          Where = config.where;
        }
        // lib.optionalAttrs (config.type != "") { Type = config.type; }
        // lib.optionalAttrs (config.options != "") { Options = config.options; };
      };
    };

  automount =
    { config, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          internal = true;
        };
        where = mkOption { type = types.str; };
        automountConfig = section;
      };
      config.name = "${(import ./escape.nix { inherit lib; }).escapeSystemdPath config.where}.automount";
      config.automountConfig.Where = config.where;
    };

  listening.options = {
    listenStreams = strings;
    listenDatagrams = strings;
  };

  line =
    key: value: "${key}=${if builtins.isBool value then lib.boolToString value else toString value}\n";
  lines = lib.concatMapAttrsStringSep "" (
    key: value: lib.concatMapStrings (line key) (lib.toList value)
  );

  unitSection =
    data:
    lib.filterAttrs (_: value: value != [ ]) (
      lib.mapAttrs' (
        option: key: lib.nameValuePair key (lib.optional (data.${option} != [ ]) (toString data.${option}))
      ) dependencies
    )
    // lib.optionalAttrs (data.description != "") { Description = data.description; }
    // lib.optionalAttrs (data.startLimitBurst != null) { StartLimitBurst = data.startLimitBurst; }
    // lib.optionalAttrs (data.startLimitIntervalSec != null) {
      StartLimitIntervalSec = data.startLimitIntervalSec;
    }
    // data.unitConfig;

  environment =
    data:
    lib.mapAttrsToList (key: value: "Environment=${builtins.toJSON "${key}=${toString value}"}\n") (
      lib.filterAttrs (_: value: value != null) (data.environment or { })
    );

  ownSection =
    name: attribute: data:
    lib.optionalString (name != null) (
      "\n[${name}]\n"
      + lib.concatStrings (environment data)
      + lines (
        lib.optionalAttrs (data ? listenStreams) {
          ListenStream = data.listenStreams;
          ListenDatagram = data.listenDatagrams;
        }
        // data.${attribute}
      )
    );

  render = name: attribute: data: {
    inherit (data)
      enable
      wantedBy
      requiredBy
      aliases
      ;
    text = "[Unit]\n" + lines (unitSection data) + ownSection name attribute data;
  };
in
{
  inherit
    common
    service
    mount
    automount
    listening
    section
    render
    ;
}
