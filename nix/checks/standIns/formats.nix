# nixpkgs' `pkgs.formats`: a type for the values and a function that writes them.
{ lib, textFile }:
let
  inherit (lib) types;
  scalar =
    with types;
    nullOr (oneOf [
      bool
      int
      float
      str
      path
    ]);
  value =
    (types.oneOf [
      scalar
      (types.attrsOf value)
      (types.listOf value)
    ])
    // {
      description = "JSON value";
    };
  json = _: {
    type = value;
    generate = name: content: textFile name (builtins.toJSON content);
  };
in
{
  formats = {
    inherit json;
    yaml = json;
    toml = json;
    ini = _: {
      type = types.attrsOf (types.attrsOf (types.either scalar (types.listOf scalar)));
      generate =
        name: content: textFile name (lib.generators.toINI { listsAsDuplicateKeys = true; } content);
    };
    keyValue = _: {
      type = types.attrsOf (types.either scalar (types.listOf scalar));
      generate =
        name: content: textFile name (lib.generators.toKeyValue { listsAsDuplicateKeys = true; } content);
    };
  };
}
