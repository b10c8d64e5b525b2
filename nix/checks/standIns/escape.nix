# The part of NixOS's `utils` that modules use.
{ lib }:
rec {
  # systemd.unit(5), "String Escaping for Inclusion in Unit Names".
  escapeSystemdPath =
    path:
    let
      trimmed = lib.concatStringsSep "-" (
        builtins.filter (part: builtins.isString part && part != "") (builtins.split "/" path)
      );
    in
    lib.escapeC [ " " "+" "=" ":" "@" "%" ] trimmed;

  # systemd.service(5), "Command Lines".
  escapeSystemdExecArg =
    argument:
    builtins.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (
      builtins.toJSON (if builtins.isPath argument then "${argument}" else toString argument)
    );
  escapeSystemdExecArgs = lib.concatMapStringsSep " " escapeSystemdExecArg;
}
