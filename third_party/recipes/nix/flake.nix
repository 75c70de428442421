# Of the tree that it lies in, as `nix build path:.?dir=third_party/recipes/nix` from its root.
{
  description = "ResNeXt image classifiers on any Vulkan GPU";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-24.11";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forAll = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      header = builtins.readFile ../../../engine/include/cdl/cdl.h;
      number = name: builtins.head (builtins.match ".*#define CDL_VERSION_${name} ([0-9]+).*" header);
    in {
      packages = forAll (pkgs: {
        default = pkgs.stdenv.mkDerivation {
          pname = "cardinal";
          version = "${number "MAJOR"}.${number "MINOR"}.${number "PATCH"}";
          src = ../../..;
          nativeBuildInputs = with pkgs; [ cmake ninja pkg-config glslang makeWrapper ];
          buildInputs = with pkgs; [
            vulkan-headers stb jansson libjpeg libpng libwebp libtiff libheif libexif curl volk SDL2 SDL2_ttf ffmpeg
          ];
          cmakeFlags = [ "-DCARDINAL_TESTS=OFF" "-DCARDINAL_STB_INCLUDE_DIR=${pkgs.stb}/include" ];
          # The loader is opened at run time, and the demo's font by its path.
          postFixup = ''
            wrapProgram $out/bin/cardinal --prefix LD_LIBRARY_PATH : ${pkgs.vulkan-loader}/lib
            [ ! -e $out/bin/cardinal-demo ] || wrapProgram $out/bin/cardinal-demo \
              --prefix LD_LIBRARY_PATH : ${pkgs.vulkan-loader}/lib \
              --set-default CARDINAL_FONT ${pkgs.dejavu_fonts}/share/fonts/truetype/DejaVuSans.ttf
          '';
          meta = {
            description = "ResNeXt image classifiers on any Vulkan GPU";
            license = nixpkgs.lib.licenses.mit;
            mainProgram = "cardinal";
          };
        };
      });
    };
}
